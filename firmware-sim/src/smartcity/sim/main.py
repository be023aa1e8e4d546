"""`smartcity-sim`: the command line."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smartcity.contracts.envelope import EnvelopeError, parse_time
from smartcity.contracts.routes import ROUTE_NAMES

from .errors import SettingsError, SimError
from .faults.inject import FaultyWorld, Injector
from .faults.plan import EXAMPLE, load_plan
from .generate import digest, generate
from .identities import read_identities
from .outbox import OutboxLimits
from .run import PAHO_DEVICES_MAX, Outcome, run, wall_clock
from .settings import STREAM_NAMES, RunSettings, Until, WorldSettings
from .source import World
from .world.city import City, CitySettings

GENERATE_START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
"""A Monday morning: where `generate` begins without `--start`, so that it repeats without one."""

_BROKER = ("localhost", 1883)
_UNTIL_HELP = "the end (default: arrived); with never, vehicles that have arrived depart again"
_EPILOG = """examples:
  smartcity-sim run --route waterloo-toronto --vehicles 3 --broker localhost:1883
  smartcity-sim run --speed 60 --until arrived --state var/sim/demo --json
  smartcity-sim run --until never --confirm puback     (a broker without the bridge)
  smartcity-sim run --route waterloo-toronto --vehicles 10000 --streams gps --until never
  smartcity-sim generate --seed 7 --duration 600
  smartcity-sim devices --vehicles 3     (their names: one identity each, see run --identity)
  smartcity-sim faults > plan.toml && smartcity-sim run --faults plan.toml
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 in order, 1 failure (readings left undelivered, state or outbox unusable), 2 usage."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    arguments = _parser().parse_args(argv)
    try:
        return _COMMANDS[arguments.command](arguments)
    except SettingsError as error:
        print(f"smartcity-sim: {error}", file=sys.stderr)
        return 2
    except SimError as error:
        print(f"smartcity-sim: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def make_world(settings: WorldSettings, start: datetime) -> World:
    """The city of these settings."""
    return City(
        CitySettings(
            seed=settings.seed,
            start=start,
            routes=settings.routes,
            vehicles=settings.vehicles,
            frame_interval_s=settings.frame_interval_s,
            weather_interval_s=settings.weather_interval_s,
            circulate=settings.circulate,
            streams=settings.streams,
            departures_s=settings.departures_s,
        )
    )


def _run(arguments: argparse.Namespace) -> int:
    outcome = run(_run_settings(arguments), make_world)
    if arguments.json:
        print(json.dumps(outcome.summary), flush=True)
    return _report_undelivered(outcome, arguments.state)


def _report_undelivered(outcome: Outcome, state: Path) -> int:
    if not outcome.undelivered:
        return 0
    total = sum(outcome.undelivered.values())
    named = ", ".join(f"{device} {count}" for device, count in sorted(outcome.undelivered.items())[:10])
    more = f" and {len(outcome.undelivered) - 10} devices more" if len(outcome.undelivered) > 10 else ""
    print(
        f"smartcity-sim: {total} readings were not confirmed: {named}{more}. "
        f"They are kept in {state / 'outbox.db'} and will be sent at the next start with --state {state}. "
        "Where no bridge stands behind the broker, use --confirm puback",
        file=sys.stderr,
    )
    return 0 if outcome.stopped else 1


def _generate(arguments: argparse.Namespace) -> int:
    begin = arguments.start or GENERATE_START
    world = make_world(_world_settings(arguments), begin)
    end = None if arguments.duration is None else begin + timedelta(seconds=arguments.duration)
    until: Until = arguments.until
    _check_until(until, begin)
    if until == "never" and end is None:
        raise SettingsError("--until never has no end here: add --duration SECONDS")
    if arguments.faults is not None:
        plan = load_plan(arguments.faults)
        plan.check_devices(world.device_ids)
        world = FaultyWorld(world, Injector(plan, seed=arguments.seed, start=begin))
    observations = generate(world, begin=begin, until=until, end=end)
    if arguments.out is None:
        result = digest(observations, None)
    elif arguments.out == "-":
        result = digest(observations, sys.stdout.write)
    else:
        try:
            with Path(arguments.out).open("w", encoding="utf-8") as out:
                result = digest(observations, out.write)
        except OSError as error:
            raise SettingsError(f"cannot write --out {arguments.out}: {error.strerror}") from error
    print(json.dumps(result), file=sys.stderr if arguments.out == "-" else sys.stdout)
    return 0


def _list_devices(arguments: argparse.Namespace) -> int:
    """Names depend on neither seed nor start."""
    world = WorldSettings(routes=_routes(arguments), vehicles=arguments.vehicles, streams=_stream_names(arguments))
    print("\n".join(make_world(world, GENERATE_START).device_ids))
    return 0


def _print_example(_arguments: argparse.Namespace) -> int:
    print(EXAMPLE.read_text(encoding="utf-8"), end="")
    return 0


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "generate": _generate,
    "devices": _list_devices,
    "faults": _print_example,
}


def _routes(arguments: argparse.Namespace) -> tuple[str, ...]:
    return tuple(dict.fromkeys(arguments.route)) if arguments.route else ROUTE_NAMES


def _stream_names(arguments: argparse.Namespace) -> tuple[str, ...]:
    return tuple(name for name in STREAM_NAMES if name in arguments.streams)


def _world_settings(arguments: argparse.Namespace) -> WorldSettings:
    return WorldSettings(
        seed=arguments.seed,
        routes=_routes(arguments),
        vehicles=arguments.vehicles,
        frame_interval_s=arguments.frame_interval,
        weather_interval_s=arguments.weather_interval,
        circulate=arguments.until == "never",
        streams=_stream_names(arguments),
        departures_s=arguments.departures_s,
    )


def _run_settings(arguments: argparse.Namespace) -> RunSettings:
    if arguments.start is not None and arguments.start > wall_clock():
        raise SettingsError(f"--start {arguments.start} lies in the future: the simulated clock never passes now")
    _check_until(arguments.until, arguments.start)
    host, port = arguments.broker or _broker(arguments.identity)
    return RunSettings(
        world=_world_settings(arguments),
        host=host,
        port=port,
        identity=arguments.identity,
        state=arguments.state,
        start=arguments.start,
        speed=arguments.speed,
        until=arguments.until,
        duration_s=arguments.duration,
        confirm=arguments.confirm,
        transport=arguments.transport,
        drain_timeout_s=arguments.drain_timeout_s,
        quiet=arguments.quiet,
        metrics=arguments.metrics,
        faults=None if arguments.faults is None else load_plan(arguments.faults),
        limits=OutboxLimits(pending_max=arguments.pending_max, log_bytes_max=arguments.log_bytes_max),
    )


def _broker(identity: Path | None) -> tuple[str, int]:
    """Where the identity's gateway is, or this machine's."""
    if identity is None:
        return _BROKER
    first = next(iter(read_identities(identity).values()))
    return first.host, first.port


def _check_until(until: Until, start: datetime | None) -> None:
    if isinstance(until, datetime) and start is not None and until <= start:
        raise SettingsError(f"--until {until} is not after the start, {start}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="smartcity-sim",
        description="Simulated vehicles, cameras, weather stations and responders that speak MQTT 5.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="drive, and publish to a broker", **_like(parser)))  # type: ignore[arg-type]
    _add_generate(
        commands.add_parser("generate", help="print what a seed and start give, without a broker", **_like(parser))  # type: ignore[arg-type]
    )
    _add_devices(commands.add_parser("devices", help="print the names of a world's devices", **_like(parser)))  # type: ignore[arg-type]
    commands.add_parser("faults", help="print an example plan for --faults: every kind, and when", **_like(parser))  # type: ignore[arg-type]
    return parser


def _like(parser: argparse.ArgumentParser) -> dict[str, object]:
    return {"epilog": parser.epilog, "formatter_class": parser.formatter_class}


def _add_devices(parser: argparse.ArgumentParser) -> None:
    """What decides which devices there are."""
    add = parser.add_argument
    add("--route", action="append", choices=ROUTE_NAMES, help="a route, repeatable (default: all)")
    add("--vehicles", type=_count, default=1, metavar="N", help="vehicles per route (default: 1)")
    add(
        "--streams",
        type=_streams,
        default=STREAM_NAMES,
        metavar="NAME,…",
        help=f"what is observed; devices that emit none of it are left out (default: {','.join(STREAM_NAMES)})",
    )


def _add_world(parser: argparse.ArgumentParser) -> None:
    _add_devices(parser)
    add = parser.add_argument
    add("--seed", type=int, default=1, metavar="N", help="the world's seed (default: 1)")
    add(
        "--faults",
        type=Path,
        metavar="PLAN",
        help="a TOML plan of faults: offline spells, wrong clocks, broken sentences, …; "
        "`smartcity-sim faults` prints an example",
    )
    add("--start", type=_time, metavar="TIME", help="simulated start, RFC 3339 with a zone")
    add("--until", type=_until, default="arrived", metavar="arrived|TIME|never", help=_UNTIL_HELP)
    add("--duration", type=_positive, metavar="S", help="end after so many simulated seconds, at the latest")
    add(
        "--departures-s",
        type=_count,
        default=300,
        metavar="S",
        help="all vehicles depart within so many seconds of the start (default: 300)",
    )
    add(
        "--frame-interval", type=_count, default=60, metavar="S", help="seconds between a camera's frames (default: 60)"
    )
    add(
        "--weather-interval", type=_count, default=60, metavar="S", help="seconds between weather reports (default: 60)"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_world(parser)
    state = os.environ.get("SMARTCITY_STATE") or Path(os.environ.get("SMARTCITY_VAR") or "var", "sim", "default")
    limits = OutboxLimits()
    add = parser.add_argument
    add(
        "--broker",
        type=_address,
        default=os.environ.get("SMARTCITY_MQTT"),
        metavar="HOST:PORT",
        help=f"the gateway (default: SMARTCITY_MQTT, what an identity names, or {_BROKER[0]}:{_BROKER[1]})",
    )
    add(
        "--identity",
        type=Path,
        metavar="FILE|DIR",
        help="bundle of smartcity-edge add-device, or a folder of them: TLS, and only these devices",
    )
    add("--speed", type=_positive, default=1.0, metavar="X", help="times real time (default: 1)")
    add("--state", type=Path, default=Path(state), metavar="DIR", help=f"outbox, log and world (default: {state})")
    add(
        "--confirm",
        choices=("receipt", "puback"),
        default="receipt",
        help="what lets a device forget a reading: the bridge's receipt (default), or the broker's PUBACK, "
        "for a broker without a bridge",
    )
    add(
        "--transport",
        choices=("auto", "paho", "fleet"),
        default="auto",
        help="the MQTT client: paho-mqtt, or our own for fleets "
        f"(default: auto, that is fleet above {PAHO_DEVICES_MAX} devices)",
    )
    add(
        "--drain-timeout-s",
        type=_not_negative,
        default=60.0,
        metavar="S",
        help="how long to wait for receipts at the end (default: 60)",
    )
    add(
        "--log-bytes-max",
        type=_count,
        default=limits.log_bytes_max,
        metavar="N",
        help=f"cap of the devices' log; the oldest go first (default: {limits.log_bytes_max})",
    )
    add(
        "--pending-max",
        type=_count,
        default=limits.pending_max,
        metavar="N",
        help=f"readings that may wait per device; further ones are dropped (default: {limits.pending_max})",
    )
    add("--metrics", type=_address, metavar="HOST:PORT", help="answer Prometheus here (default: nowhere)")
    add("--json", action="store_true", help="print a summary as JSON at the end")
    add("--quiet", action="store_true", help="no progress on stderr")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    _add_world(parser)
    parser.add_argument("--out", metavar="FILE", help="also list every reading, one JSON object per line (- is stdout)")


def _time(text: str) -> datetime:
    try:
        return parse_time("time", text).replace(microsecond=0)
    except EnvelopeError as error:
        raise argparse.ArgumentTypeError(f"{error}, e.g. 2026-03-02T07:00:00Z") from error


def _until(text: str) -> Until:
    if text == "arrived":
        return "arrived"
    if text == "never":
        return "never"
    return _time(text)


def _streams(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in STREAM_NAMES:
            raise argparse.ArgumentTypeError(f"no stream {name!r}: choose of {', '.join(STREAM_NAMES)}")
    return names


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _positive(text: str) -> float:
    value = _not_negative(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return value


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "1883")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, e.g. localhost:1883")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    sys.exit(main())
