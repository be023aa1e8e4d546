"""Hours of simulated traffic through the whole stack, and whether files and memory stay steady."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smartcity.local.errors import LocalError
from smartcity.local.layout import default_var

from .picture import draw
from .run import SoakSettings, run

START = datetime(2026, 3, 2, 18, tzinfo=UTC)
"""An evening, so that ten hours lie in two days."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=__doc__,
        epilog="example: python -m tests.soak --simulated-hours 10 --speed 60 --picture docs/images/soak.svg",
    )
    parser.add_argument("--simulated-hours", type=float, default=10, help="(default: 10)")
    parser.add_argument("--speed", type=float, default=60, help="times real time (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the world (default: 1)")
    parser.add_argument("--sample-every-s", type=float, default=10, help="real time (default: 10)")
    parser.add_argument(
        "--upkeep-every-s", type=float, help="between two maintenances, real time (default: a simulated hour)"
    )
    parser.add_argument("--report", type=Path, help="JSON file to write (default: var/bench/soak.json)")
    parser.add_argument("--picture", type=Path, help="SVG file to write (default: var/bench/soak.svg)")
    flags = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    settings = SoakSettings(
        simulated_hours=flags.simulated_hours,
        speed=flags.speed,
        start=START,
        seed=flags.seed,
        sample_every_s=flags.sample_every_s,
        upkeep_every_s=flags.upkeep_every_s or 3600 / flags.speed,
    )
    report, picture = (
        given or default_var() / "bench" / f"soak.{kind}"
        for given, kind in ((flags.report, "json"), (flags.picture, "svg"))
    )
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        # Mosquitto, started by root, becomes another user, who must be able to pass through.
        Path(name).chmod(0o711)
        try:
            document: dict[str, Any] = run(settings, Path(name) / "var", _say)
        except LocalError as error:
            print(f"soak: {error}", file=sys.stderr)
            return 1
    document["measured_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    for path, text in (
        (report, json.dumps(document, indent=1, default=str) + "\n"),
        (picture, draw(document["samples"], speed=settings.speed)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for verdict, found in document["verdicts"].items():
        print(
            f"{'steady' if found['steady'] else 'GROWS':<8}{verdict}: "
            f"{found['middle_third']:g} → {found['last_third']:g}"
        )
    print("\n".join(f"FAILED: {failure}" for failure in document["failures"]) or "steady, and verify is clean")
    print(f"report: {report}; picture: {picture}")
    return 1 if document["failures"] else 0


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
