"""`smartcity-edge`: the gateway's configuration and what it guarantees; captures of what passes through it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from .address import address
from .capture import commands as capture_commands
from .check import ask_broker, judge, parse_configuration, read_configuration
from .errors import EdgeError
from .gateway import Gateway, render

EXAMPLES = """examples:
  smartcity-edge config --listen 127.0.0.1:1883 --data /var/lib/mosquitto > mosquitto.conf
  smartcity-edge check mosquitto.conf --broker 127.0.0.1:1883
  smartcity-edge record city.mcap --topic 'devices/#'
  smartcity-edge replay city.mcap --speed 10
"""


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="smartcity-edge",
        description="The MQTT gateway's configuration, and captures of what passes through it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    config = commands.add_parser("config", help="print the effective mosquitto.conf")
    config.add_argument("--listen", type=address, default=("127.0.0.1", 1883), metavar="HOST:PORT")
    config.add_argument("--data", type=Path, default=Path("/var/lib/mosquitto"), help="folder of the broker's database")
    config.add_argument("--user", help="user to drop to when the broker is started as root")
    check = commands.add_parser("check", help="say what a configuration guarantees; exit 1 if it breaks a promise")
    check.add_argument("file", type=Path, nargs="?", help="a mosquitto.conf; without one, the one that config prints")
    check.add_argument("--broker", type=address, metavar="HOST:PORT", help="ask a running broker as well")
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    config.set_defaults(run=_config)
    check.set_defaults(run=_check)
    capture_commands.add(commands)
    return root


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0; 2 for a usage error; 1 where a check finds a broken promise, a replay was not taken whole by its
    broker, or something fails."""
    flags = parser().parse_args(arguments)
    try:
        code: int = flags.run(flags)
        return code
    except EdgeError as error:
        print(f"smartcity-edge: {error}", file=sys.stderr)
        return 1


def _config(flags: argparse.Namespace) -> int:
    host, port = flags.listen
    sys.stdout.write(render(Gateway(host=host, port=port, data=flags.data.absolute(), user=flags.user)))
    return 0


def _check(flags: argparse.Namespace) -> int:
    findings = judge(_own_settings()) if flags.file is None else judge(read_configuration(flags.file))
    if flags.broker:
        findings += ask_broker(*flags.broker)
    if flags.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{finding.level:<5} {finding.text}")
    return 1 if any(finding.level == "bad" for finding in findings) else 0


def _own_settings() -> dict[str, list[str]]:
    return parse_configuration(render(Gateway(host="127.0.0.1", port=1883, data=Path("/var/lib/mosquitto"))), "config")


if __name__ == "__main__":
    sys.exit(main())
