"""`smartcity-edge`: the gateway's command line. Each group of subcommands is a module of `commands`."""

from __future__ import annotations

import argparse
import os
import sys

from smartcity.contracts.identity import IdentityError

from .commands import captures, gateway, identities, record_replay
from .errors import EdgeError

GROUPS = (gateway, identities, record_replay, captures)
EXAMPLES = """examples:
  smartcity-edge config --listen 127.0.0.1:1883 --data /var/lib/mosquitto > mosquitto.conf
  smartcity-edge init --gateway /etc/smartcity/gateway --host gateway.local
  smartcity-edge add-device wt-veh-001 --gateway /etc/smartcity/gateway
  smartcity-edge check --gateway /etc/smartcity/gateway
  smartcity-edge record city.mcap --topic 'devices/#'
  smartcity-edge replay city.mcap --speed 10
"""


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="smartcity-edge",
        description="The MQTT gateway: its configuration, who may speak to it, and captures of what passes through it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_parsers(commands)
    return root


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0; 2 for a usage error; 1 where a check finds a broken promise, a replay was not taken whole by its
    broker, or something fails."""
    flags = parser().parse_args(arguments)
    try:
        code: int = flags.run(flags)
    except (EdgeError, IdentityError) as error:
        print(f"smartcity-edge: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
