"""`smartcity-lake`: run the streaming query, look after its tables, build the marts, and see what they hold."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from . import deadletters_command, describe_command, maintain_command
from .errors import EXIT_TERMINAL, EXIT_TRANSIENT, LakeError, TerminalError
from .marts import command as marts_command
from .pages import http_address
from .settings import DEFAULT_BUCKET, SUBMITTED, Executors, Settings, read_storage

_EXAMPLE = """example:
  smartcity-lake run --kafka localhost:9092 --bucket smartcity-lake --jars var/jars/spark
  smartcity-lake describe --bucket smartcity-lake
  smartcity-lake maintain --every 1h --marts-every 5m
  smartcity-lake deadletters list --reason checksum_invalid
  smartcity-lake marts

AWS's own variables say where AWS is: AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID …"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 in order, 1 a failure, 2 usage, 3 a failure that no restart mends."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = read_options(given)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for noisy in ("py4j", "botocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        if options.command == "describe":
            return describe_command.run(options)
        if options.command == "maintain":
            return maintain_command.run(options, given)
        if options.command == "deadletters":
            return deadletters_command.run(options)
        if options.command == "marts":
            return marts_command.run(options, given)
        return _run(given) if options.command == "run" else _drive(options)
    except LakeError as error:
        print(f"smartcity-lake: {error}", file=sys.stderr)
        return EXIT_TERMINAL if isinstance(error, TerminalError) else EXIT_TRANSIENT


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    """The flags of a command line; ends the process with code 2 where they are wrong."""
    return _parser().parse_args(arguments)


def _run(given: Sequence[str]) -> int:
    # Imported here, because only this command supervises and only `drive` needs Spark.
    from .supervise import Supervisor  # noqa: PLC0415

    position = list(given).index("run")
    command = [sys.executable, "-m", __spec__.name, *given[:position], "drive", *given[position + 1 :], "--supervised"]
    supervisor = Supervisor(command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    return supervisor.run()


def _drive(options: argparse.Namespace) -> int:
    from .drive import drive  # noqa: PLC0415

    settings = Settings(
        kafka=options.kafka,
        storage=read_storage(options.bucket),
        jars=options.jars,
        master=options.master,
        driver_memory=options.driver_memory,
        executors=Executors(memory=options.executor_memory, cores=options.executor_cores, cores_max=options.cores_max),
        shuffle_partitions=options.shuffle_partitions,
        ui_port=options.ui_port,
        trigger_s=options.trigger_s,
        offsets_per_trigger_max=options.offsets_per_trigger_max,
        http=options.http,
        available_now=options.available_now,
    )
    return drive(settings, supervised=options.supervised)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="smartcity-lake",
        description="Kafka to Iceberg on S3, each reading once.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = "{run,maintain,marts,deadletters,describe}"
    commands = parser.add_subparsers(dest="command", required=True, metavar=names)
    run = commands.add_parser("run", help="run the streaming query under a supervisor until SIGTERM")
    drive = commands.add_parser("drive")  # The child of `run`, not meant to be called by hand.
    drive.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)
    for command in (run, drive):
        _add_query_flags(command)
    shown = commands.add_parser("describe", help="tables and marts with rows, files, size, days, snapshots")
    describe_command.add_flags(shown)
    maintain = commands.add_parser("maintain", help="compact the tables, expire snapshots, remove orphans; see docs")
    _add_spark_flags(maintain)
    maintain_command.add_flags(maintain)
    letters = commands.add_parser("deadletters", help="what was refused: list it, show it, send it back after a fix")
    marts = commands.add_parser(
        "marts", help="build the marts' touched days", epilog=f"example: {marts_command.EXAMPLE}"
    )
    _add_spark_flags(marts)
    marts_command.add_flags(marts)
    for command in (run, drive, shown, maintain, marts, *deadletters_command.add_commands(letters)):
        bucket = os.environ.get("SMARTCITY_BUCKET", DEFAULT_BUCKET)
        command.add_argument("--bucket", default=bucket, help=f"the lake's bucket (default {bucket})")
    return parser


def _add_spark_flags(command: argparse.ArgumentParser) -> None:
    env = os.environ.get
    var = env("SMARTCITY_VAR", "var")
    jars = Path(env("SMARTCITY_SPARK_JARS") or f"{var}/jars/spark")
    command.add_argument("--jars", type=Path, default=jars, help=f"folder of Spark's jars (default {jars})")
    command.add_argument(
        "--master",
        default=env("SMARTCITY_SPARK_MASTER", "local[2]"),
        help=f"Spark master: local[N], spark://HOST:PORT, or {SUBMITTED} (by spark-submit)",
    )
    command.add_argument("--driver-memory", default="1g", help="heap of the driver's JVM (default 1g)")


def _add_query_flags(command: argparse.ArgumentParser) -> None:
    _add_spark_flags(command)
    kafka = os.environ.get("SMARTCITY_KAFKA", "localhost:9092")
    command.add_argument("--kafka", default=kafka, help=f"HOST:PORT of Kafka (default {kafka})")
    command.add_argument("--trigger-s", type=_seconds, default=10.0, help="time between batches (default 10)")
    command.add_argument(
        "--offsets-per-trigger-max", type=int, default=20_000, help="most records in a batch (default 20000)"
    )
    for flag, default, text in (
        ("--shuffle-partitions", 2, "tasks of a step that brings equal keys together"),
        ("--executor-cores", 1, "cores of each executor of a standalone master"),
        ("--cores-max", None, "cores of all executors together (default: what the master has)"),
        ("--ui-port", None, "port of Spark's own pages (default none)"),
    ):
        shown = "" if default is None else f" (default {default})"
        command.add_argument(flag, type=_positive, default=default, metavar="N", help=text + shown)
    command.add_argument("--executor-memory", default="700m", help="heap of each of those executors (default 700m)")
    command.add_argument("--http", type=http_address, help="HOST:PORT for /metrics and /healthz (default none)")
    command.add_argument("--available-now", action="store_true", help="read what Kafka has, then end")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.1 and 3600 seconds")
    return value


if __name__ == "__main__":
    sys.exit(main())
