"""`config` and `check`: the configuration, and what it guarantees."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..check import OUTAGE, Finding, Outage, judge, parse_configuration, read_configuration
from ..check_folder import judge_folder, judge_running
from ..check_running import ask_broker
from ..folder import GatewayFolder
from ..gateway import Gateway, render
from .flags import address, positive


def add_parsers(commands: Any) -> None:
    config = commands.add_parser(
        "config",
        help="print a mosquitto.conf for this machine alone, without identities",
        epilog="example: smartcity-edge config --data /var/lib/mosquitto > mosquitto.conf",
    )
    config.add_argument("--listen", type=address, default=("127.0.0.1", 1883), metavar="HOST:PORT")
    config.add_argument("--data", type=Path, default=Path("/var/lib/mosquitto"), help="folder of the broker's database")
    config.add_argument("--user", help="user to drop to when the broker is started as root")
    config.set_defaults(run=_config)
    check = commands.add_parser(
        "check",
        help="say what a configuration guarantees; exit 1 if it breaks a promise",
        epilog="example: smartcity-edge check --gateway /etc/smartcity/gateway",
    )
    what = check.add_mutually_exclusive_group()
    what.add_argument("file", type=Path, nargs="?", help="a mosquitto.conf; without one, the one that config prints")
    what.add_argument(
        "--gateway",
        type=Path,
        metavar="DIR",
        help="a gateway's folder: configuration, ACL, certificates, revocation list, and the broker that runs with it",
    )
    check.add_argument("--broker", type=address, metavar="HOST:PORT", help="ask a running broker without TLS as well")
    check.add_argument(
        "--rate-per-s",
        type=positive,
        default=OUTAGE.rate_per_s,
        metavar="N",
        help=f"messages that pass the gateway, for what an outage costs (default: {OUTAGE.rate_per_s})",
    )
    check.add_argument(
        "--outage-s",
        type=positive,
        default=OUTAGE.seconds,
        metavar="S",
        help=f"how long the bridge or Kafka is away (default: {OUTAGE.seconds})",
    )
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    check.set_defaults(run=_check)


def _config(flags: argparse.Namespace) -> int:
    host, port = flags.listen
    sys.stdout.write(render(Gateway(host=host, port=port, data=flags.data.absolute(), user=flags.user)))
    return 0


def _check(flags: argparse.Namespace) -> int:
    outage = Outage(rate_per_s=flags.rate_per_s, seconds=flags.outage_s)
    findings = _findings(flags, outage)
    if flags.broker:
        findings += ask_broker(*flags.broker)
    if flags.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{finding.level:<5} {finding.text}")
    return 1 if any(finding.level == "bad" for finding in findings) else 0


def _findings(flags: argparse.Namespace, outage: Outage) -> list[Finding]:
    if flags.gateway is not None:
        folder = GatewayFolder(flags.gateway)
        now = datetime.now(UTC)
        return [
            *judge_folder(folder, now=now),
            *judge(read_configuration(folder.configuration_path), outage),
            *judge_running(folder),
        ]
    if flags.file is not None:
        return judge(read_configuration(flags.file), outage)
    own = render(Gateway(host="127.0.0.1", port=1883, data=Path("/var/lib/mosquitto")))
    return judge(parse_configuration(own, "config"), outage)
