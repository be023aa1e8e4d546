"""`smartcity doctor`: check the machine."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from typing import Any

from ..doctor import aws_wanted, examine, real_probes
from ..layout import Layout

SIGNS = {"ok": "ok", "warning": "note", "failure": "FAIL"}


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("doctor", help="check the machine, and name the remedy of what is wrong")
    parser.epilog = "example: smartcity doctor --aws    (exit code 1 where something fails)"
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    parser.add_argument("--aws", action="store_true", help="check the credentials of a real AWS account as well")


def run(flags: argparse.Namespace) -> int:
    aws = flags.aws or aws_wanted(dict(os.environ))
    checks = list(examine(real_probes(Layout(var=flags.var)), aws=aws))
    if flags.json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            print(f"{SIGNS[check.level]:<5}{check.name:<14}{check.detail}")
            if check.remedy:
                print(f"{'':<19}→ {check.remedy}")
    return 1 if any(check.level == "failure" for check in checks) else 0
