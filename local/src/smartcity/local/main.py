"""`smartcity`: the whole system on one machine. A subcommand is a module of `commands`, imported when it is called."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import sys
from pathlib import Path

from .errors import LocalError
from .layout import default_var

COMMANDS = {
    "setup": "fetch Kafka's and Spark's jars and check what the stack needs",
    "up": "start the stack, or what is missing of it",
    "down": "stop the stack; the data stays, unless --wipe",
    "status": "show what runs, where, and what it holds",
    "doctor": "check the machine, and name the remedy of what is wrong",
    "query": "run SQL over the lake through Athena's API",
    "lake": "dead letters, marts and maintenance of the stack's lake",
    "aws": "the local AWS as smartcity-aws sees it: stack, crawler, warehouse",
    "verify": "prove that the lake holds what the devices generated",
    "demo": "drive the whole way of a reading, and verify it",
    "record": "record what passes through the stack's gateway into a file",
    "replay": "send a capture through the stack's gateway",
    "supervise": "start again what dies (started by `up`)",
}
EXAMPLES = """examples:
  smartcity up && smartcity status
  smartcity query "SELECT count(*) FROM gps"
  smartcity down
"""


def parser(chosen: str | None) -> argparse.ArgumentParser:
    """The root parser, with the whole parser of the chosen subcommand and one line for each other."""
    root = argparse.ArgumentParser(
        prog="smartcity",
        description="The smart city on one machine, from devices to the lake.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    var_help = "folder of jars, logs and data (default: $SMARTCITY_VAR, else var/ of the clone)"
    root.add_argument("--var", type=Path, default=None, metavar="DIR", help=var_help)
    subparsers = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        if name == chosen:
            importlib.import_module(f"smartcity.local.commands.{name}").add_parser(subparsers)
            # The option is taken on both sides of the subcommand.
            with contextlib.suppress(argparse.ArgumentError):
                subparsers.choices[name].add_argument(
                    "--var", type=Path, default=argparse.SUPPRESS, metavar="DIR", help=var_help
                )
        else:
            subparsers.add_parser(name, help=text)
    return root


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0; 1 where something failed, 2 for a usage error, 130 when interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)  # It tells at each start where it found credentials.
    flags = parser(_chosen(arguments)).parse_args(arguments)
    flags.var = (flags.var or default_var()).expanduser().resolve()
    command = importlib.import_module(f"smartcity.local.commands.{flags.command}")
    try:
        return int(command.run(flags))
    except LocalError as error:
        print(f"smartcity {flags.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"smartcity {flags.command}: interrupted; it can be repeated", file=sys.stderr)
        return 130


def _chosen(arguments: list[str]) -> str | None:
    """The subcommand's name among the arguments: the first that is one, and is not the value of --var."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if argument in COMMANDS and before != "--var":
            return argument
    return None


if __name__ == "__main__":
    sys.exit(main())
