"""`record` and `replay`: what passes through a broker into a capture, and a capture through a broker again."""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from smartcity.contracts.identity import read_bundle
from smartcity.contracts.topics import DEVICES_FILTER

from ..capture import detect
from ..capture.choose import Choice, Remap, check_filter
from ..capture.connection import Broker
from ..capture.message import Findings, Message
from ..capture.progress import Line
from ..capture.record import ROTATE_BYTES_DEFAULT, Recorded, Recorder, RecordOptions
from ..capture.replay import Replayer, ReplayOptions, Report
from ..capture.span import Span
from ..capture.terminal import keys
from .captures import add_reading, reading, tell
from .flags import address, moment, positive, seconds, size, speed

BROKER_DEFAULT = ("127.0.0.1", 1883)
_RAW = argparse.RawDescriptionHelpFormatter


def add_parsers(commands: Any) -> None:
    add_record(commands)
    add_replay(commands)


def add_record(commands: Any) -> None:
    parser = commands.add_parser(
        "record",
        help="record what passes through a broker into an MCAP file",
        epilog="examples:\n  smartcity-edge record city.mcap --topic 'devices/#' --rotate-size 500MB\n"
        "  smartcity-edge record city.mcap --identity recorder.pem",
        formatter_class=_RAW,
    )
    parser.add_argument("file", type=Path, help="the file to write, e.g. city.mcap")
    parser.add_argument("--topic", action="append", metavar="FILTER", help=f"repeatable; default {DEVICES_FILTER}")
    parser.add_argument("--rotate-size", type=size, default=ROTATE_BYTES_DEFAULT, metavar="SIZE",
                        help="begin city-2.mcap at this size, e.g. 500MB (default 1GB; 0: never)")  # fmt: skip
    parser.add_argument("--rotate-every", type=seconds, default=0.0, metavar="TIME", help="or after this time, e.g. 1h")
    parser.add_argument("--duration", type=seconds, default=0.0, metavar="TIME", help="end after it, e.g. 60s")
    parser.add_argument("--count", type=positive, default=0, metavar="N", help="end after so many messages")
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    _add_broker(parser, role="recorder")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=record)


def add_replay(commands: Any) -> None:
    parser = commands.add_parser(
        "replay",
        help="send a capture again, true to time and byte",
        description="Space pauses and resumes, q ends. Receipts and status messages are never replayed.",
        epilog="examples:\n  smartcity-edge replay city.mcap --speed 10 --from 30s --to 2m\n"
        "  smartcity-edge replay city.mcap --restamp --loop --remap veh-001=veh-901\n"
        "  smartcity-edge replay city.mcap --identity replayer.pem",
        formatter_class=_RAW,
    )
    add_reading(parser)
    parser.add_argument("--speed", type=speed, default=1.0, metavar="X", help="0.5, 10 …, or max (default 1)")
    parser.add_argument("--from", dest="begin", type=moment, metavar="TIME",
                        help="from here on: 90s, 1h30m after the first message, or an RFC 3339 time")  # fmt: skip
    parser.add_argument("--to", dest="end", type=moment, metavar="TIME", help="up to here")
    parser.add_argument("--loop", action="store_true", help="again and again; every pass has new ids")
    parser.add_argument("--topic", action="append", default=[], metavar="FILTER", help="only these; repeatable")
    parser.add_argument("--remap", action="append", default=[], metavar="OLD=NEW",
                        help="another device, or another beginning of the topic; repeatable")  # fmt: skip
    parser.add_argument("--restamp", action="store_true", help="move event times to now, under new ids")
    parser.add_argument("--qos", choices=("keep", "0", "1", "2"), default="keep")
    parser.add_argument("--retain", choices=("keep", "yes", "no"), default="keep")
    _add_broker(parser, role="replayer")
    parser.set_defaults(run=replay)


def _add_broker(parser: argparse.ArgumentParser, *, role: str) -> None:
    here = ":".join(map(str, BROKER_DEFAULT))
    parser.add_argument("--broker", type=address, metavar="HOST:PORT",
                        help=f"default: what an identity names, or {here}")  # fmt: skip
    parser.add_argument("--identity", type=Path, metavar="FILE",
                        help=f"bundle of smartcity-edge add-operator NAME --role {role}: TLS")  # fmt: skip
    parser.add_argument("--client-id", help="default: a new one; with an identity the gateway takes its name")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _broker(flags: argparse.Namespace, command: str) -> Broker:
    """Where to connect, and as whom.

    Raises:
        IdentityError: the bundle cannot be used.
    """
    client_id = flags.client_id or f"smartcity-{command}-{secrets.token_hex(4)}"
    if flags.identity is None:
        host, port = flags.broker or BROKER_DEFAULT
        return Broker(host=host, port=port, client_id=client_id)
    identity = read_bundle(flags.identity)
    host, port = flags.broker or (identity.host, identity.port)
    return Broker(host=host, port=port, client_id=client_id, tls=identity.tls())


def record(flags: argparse.Namespace) -> int:
    options = RecordOptions(
        path=flags.file,
        filters=[check_filter(name) for name in flags.topic or [DEVICES_FILTER]],
        rotate_bytes=flags.rotate_size,
        rotate_s=flags.rotate_every,
        count_max=flags.count,
        duration_s=flags.duration,
        overwrite=flags.force,
    )
    line = Line(quiet=flags.quiet)
    before = Recorded()
    looked_at = time.monotonic()

    def progress(recorded: Recorded) -> None:
        nonlocal before, looked_at
        now = time.monotonic()
        rate = (recorded.messages - before.messages) / max(now - looked_at, 1e-9)
        line.show(f"{recorded.messages} messages, {rate:.0f}/s, {recorded.file_bytes / 1e6:.1f} MB on disk")
        before, looked_at = Recorded(messages=recorded.messages), now

    recorder = Recorder(_broker(flags, "record"), options, stopping=_stopping(), progress=progress, log=line.say)
    line.show(f"recording {', '.join(options.filters)} into {flags.file}", always=True)
    recorded = recorder.run()
    line.end()
    document = {"messages": recorded.messages, "bytes": recorded.bytes, "file_bytes": recorded.file_bytes,
                "files": recorded.files, "gaps": recorded.gaps}  # fmt: skip
    text = f"{recorded.messages} messages in {recorded.files} file(s), {recorded.file_bytes} bytes"
    print(json.dumps(document) if flags.json else text)
    return 0


def replay(flags: argparse.Namespace) -> int:
    span = Span(begin=flags.begin, end=flags.end)
    options = ReplayOptions(
        speed=flags.speed,
        span=span,
        loop=flags.loop,
        restamp=flags.restamp,
        qos=None if flags.qos == "keep" else int(flags.qos),
        retain=None if flags.retain == "keep" else flags.retain == "yes",
    )
    choice = Choice(filters=flags.topic, remaps=[Remap.parse(text) for text in flags.remap])
    how = reading(flags, from_ns=span.from_ns)
    detect.format_of(flags.file)  # Before a broker is asked for anything.
    findings = Findings(strict=flags.strict)
    line = Line(quiet=flags.quiet)

    def progress(report: Report, paused: bool) -> None:
        rate = report.messages / report.seconds if report.seconds else 0
        line.show(f"{report.messages} messages, {rate:.0f}/s{', paused (space resumes)' if paused else ''}")

    def open_capture() -> Iterator[Message]:
        findings.clear()  # Of the pass before.
        return detect.read(flags.file, findings, how)

    stopping = _stopping()
    with keys() as terminal:
        replayer = Replayer(
            _broker(flags, "replay"), options, choice, stopping=stopping, terminal=terminal, progress=progress,
            log=line.say,
        )  # fmt: skip
        report = replayer.run(open_capture)
    line.end()
    tell(findings)
    document = {**report.document(), "damages": findings.damages_total}
    print(json.dumps(document) if flags.json else "\n".join(_report_lines(document)))
    return 0 if report.complete else 1


def _report_lines(document: dict[str, Any]) -> list[str]:
    lines = [f"{document['messages']} messages in {document['seconds']} s, {document['messages_per_s']} msg/s"]
    if "pacing_error_p99_ms" in document:
        p50, p99, most = (document[f"pacing_error_{name}_ms"] for name in ("p50", "p99", "max"))
        lines.append(f"pacing error: p50 {p50} ms, p99 {p99} ms, max {most} ms")
    lines += [f"not replayed: {count} {what}" for what, count in document["left_out"].items()]
    lines += [f"refused by the broker: {count} with reason code {code}" for code, count in document["refused"].items()]
    for name, text in (
        ("too_large", "larger than the broker takes"),
        ("unconfirmed", "not confirmed by the broker"),
        ("reconnections", "times connected again"),
    ):
        if document[name]:
            lines.append(f"{document[name]} {text}")
    return lines


def _stopping() -> Callable[[], bool]:
    """True after SIGINT or SIGTERM, which then end the command in order."""
    stopped = False

    def stop(_signal: int, _frame: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return lambda: stopped
