"""Adds reports up: python -m tests.chaos.totals REPORT… > docs/measured/chaos.json"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .report import LOSSES, fault_rows, kills_of, process_rows

KEPT = ("machine", "seed", "speed", "trigger_s", "seconds", "kills", "control", "auditor", "ended_early", "failures")
COUNTS = (*LOSSES, "unknown", "pending", "refused", "dropped", "unproven")


def add_up(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Totals over all runs, and what tells the runs apart. Events of all runs are pooled for the percentiles."""
    events = [event for report in reports for event in report.get("events", [])]
    audits = [report["audit"] for report in reports if "audit" in report]
    audit: dict[str, Any] = {name: sum(each[name] for each in audits) for name in COUNTS}
    audit["generated"] = sum(sum(each["generated"].values()) for each in audits)
    controls = [report["control"] for report in reports if "control" in report]
    return {
        "runs": [{name: report[name] for name in KEPT if name in report} for report in reports],
        "kills": kills_of(events),
        "audit": audit,
        "faults": fault_rows(events, audit),
        "processes": process_rows(events),
        "bridge_rss_mb_while_kafka_was_away": [event["bridge_rss_mb"] for event in events if "bridge_rss_mb" in event],
        "kafka_away_until_outboxes_overflow": [
            {name: report["exhausted"]["audit"][name] for name in ("generated", *COUNTS)}
            for report in reports
            if "exhausted" in report
        ],
        "control": _add_up_controls(controls),
    }


def _add_up_controls(controls: Sequence[dict[str, Any]]) -> dict[str, Any]:
    totals: Counter[str] = Counter()
    faults: dict[str, Counter[str]] = {}
    for control in controls:
        totals.update({name: control[name] for name in ("published", "in_kafka", "lost", "duplicated_in_kafka")})
        for name, row in control["faults"].items():
            counts = {key: row[key] for key in ("n", "lost", "kills_with_loss")}
            faults.setdefault(name, Counter()).update(counts)
    return {**totals, "faults": {name: dict(row) for name, row in faults.items()}}


if __name__ == "__main__":
    print(json.dumps(add_up([json.loads(Path(path).read_text()) for path in sys.argv[1:]]), indent=1))
