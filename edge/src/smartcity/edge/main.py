"""`smartcity-edge`: print the gateway's configuration, or say what a configuration guarantees."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from .check import ask_broker, judge, parse_configuration, read_configuration
from .errors import EdgeError
from .gateway import Gateway, render

EXAMPLES = """examples:
  smartcity-edge config --listen 127.0.0.1:1883 --data /var/lib/mosquitto > mosquitto.conf
  smartcity-edge check mosquitto.conf --broker 127.0.0.1:1883
"""


def address(value: str) -> tuple[str, int]:
    """`HOST:PORT` of a flag.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise argparse.ArgumentTypeError(f"{value!r} is not HOST:PORT, e.g. 127.0.0.1:1883")
    return host, int(port)


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="smartcity-edge",
        description="The MQTT gateway's configuration.",
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
    return root


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0; 1 where a check finds a broken promise or something fails; 2 for a usage error."""
    flags = parser().parse_args(arguments)
    try:
        return _config(flags) if flags.command == "config" else _check(flags)
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
