"""The commands `record`, `replay`, `info` and `convert`: flags in, a report out."""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from smartcity.contracts.topics import DEVICES_FILTER

from ..address import address
from . import detect, flag_values, info
from .choose import Choice, Remap, check_filter
from .connection import Broker
from .convert import FORMATS, convert, format_for
from .detect import ReadOptions
from .formats import nmea, pcap
from .message import Findings, Message
from .progress import Line
from .record import ROTATE_BYTES_DEFAULT, Recorded, Recorder, RecordOptions
from .replay import Replayer, ReplayOptions, Report
from .span import Span
from .terminal import keys

BROKER_DEFAULT = ("127.0.0.1", 1883)
_RAW = argparse.RawDescriptionHelpFormatter


def add(commands: Any) -> None:
    """Add the commands to `smartcity-edge`; each sets `run`."""
    _add_record(commands)
    _add_replay(commands)
    _add_info(commands)
    _add_convert(commands)


def _add_record(commands: Any) -> None:
    record = commands.add_parser(
        "record",
        help="record what passes through a broker into an MCAP file",
        epilog="example: smartcity-edge record city.mcap --topic 'devices/#' --rotate-size 500MB",
        formatter_class=_RAW,
    )
    record.add_argument("file", type=Path, help="the file to write, e.g. city.mcap")
    record.add_argument("--topic", action="append", metavar="FILTER", help=f"repeatable; default {DEVICES_FILTER}")
    record.add_argument("--rotate-size", type=flag_values.size, default=ROTATE_BYTES_DEFAULT, metavar="SIZE",
                        help="begin city-2.mcap at this size, e.g. 500MB (default 1GB; 0: never)")  # fmt: skip
    record.add_argument(
        "--rotate-every", type=flag_values.seconds, default=0.0, metavar="TIME", help="or after this time, e.g. 1h"
    )
    record.add_argument(
        "--duration", type=flag_values.seconds, default=0.0, metavar="TIME", help="end after it, e.g. 60s"
    )
    record.add_argument("--count", type=flag_values.number, default=0, metavar="N", help="end after so many messages")
    record.add_argument("--force", action="store_true", help="replace the file if it exists")
    _add_common(record, broker=True)
    record.set_defaults(run=_record)


def _add_replay(commands: Any) -> None:
    replay = commands.add_parser(
        "replay",
        help="send a capture again, true to time and byte",
        description="Space pauses and resumes, q ends. Receipts and status messages are never replayed.",
        epilog="examples:\n  smartcity-edge replay city.mcap --speed 10 --from 30s --to 2m\n"
        "  smartcity-edge replay city.mcap --restamp --loop --remap veh-001=veh-901",
        formatter_class=_RAW,
    )
    replay.add_argument("file", type=Path, help=f"a capture: {detect.KNOWN}")
    replay.add_argument(
        "--speed", type=flag_values.speed, default=1.0, metavar="X", help="0.5, 10 …, or max (default 1)"
    )
    replay.add_argument("--from", dest="begin", type=flag_values.moment, metavar="TIME",
                        help="from here on: 90s, 1h30m after the first message, or an RFC 3339 time")  # fmt: skip
    replay.add_argument("--to", dest="end", type=flag_values.moment, metavar="TIME", help="up to here")
    replay.add_argument("--loop", action="store_true", help="again and again; every pass has new ids")
    replay.add_argument("--topic", action="append", default=[], metavar="FILTER", help="only these; repeatable")
    replay.add_argument("--remap", action="append", default=[], metavar="OLD=NEW",
                        help="another device, or another beginning of the topic; repeatable")  # fmt: skip
    replay.add_argument("--restamp", action="store_true", help="move event times to now, under new ids")
    replay.add_argument("--qos", choices=("keep", "0", "1", "2"), default="keep")
    replay.add_argument("--retain", choices=("keep", "yes", "no"), default="keep")
    _add_common(replay, broker=True)
    _add_reading(replay)
    replay.set_defaults(run=_replay)


def _add_info(commands: Any) -> None:
    parser = commands.add_parser(
        "info",
        help="topics, counts, span and rates of a capture",
        epilog="example: smartcity-edge info city.mcap --json",
    )
    parser.add_argument("file", type=Path, help=f"a capture: {detect.KNOWN}")
    _add_common(parser, broker=False)
    _add_reading(parser)
    parser.set_defaults(run=_info)


def _add_convert(commands: Any) -> None:
    parser = commands.add_parser(
        "convert",
        help="write a capture in another format",
        epilog="example: smartcity-edge convert drive.pcapng drive.mcap",
    )
    parser.add_argument("file", type=Path, help=f"a capture: {detect.KNOWN}")
    parser.add_argument("target", type=Path, help="the file to write")
    parser.add_argument("--to", choices=FORMATS, help="its format; default by its ending")
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    _add_common(parser, broker=False)
    _add_reading(parser)
    parser.set_defaults(run=_convert)


def _add_common(parser: argparse.ArgumentParser, *, broker: bool) -> None:
    if broker:
        parser.add_argument("--broker", type=address, default=BROKER_DEFAULT, metavar="HOST:PORT")
        parser.add_argument("--client-id", help="default: a new one")
        parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="end at the first damage, with exit code 1")
    parser.add_argument("--base64", choices=("auto", "yes", "no"), default="auto",
                        help="whether a CSV without header holds base64 (default: by its first rows)")  # fmt: skip
    parser.add_argument("--way", choices=(pcap.TO_BROKER, pcap.FROM_BROKER, "both"), default=pcap.TO_BROKER,
                        help="which PUBLISH packets of a network capture")  # fmt: skip
    parser.add_argument("--device", type=flag_values.device, default=nmea.DEVICE_DEFAULT, metavar="NAME",
                        help="whose topic an NMEA log's bursts get")  # fmt: skip


def _record(flags: argparse.Namespace) -> int:
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


def _replay(flags: argparse.Namespace) -> int:
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
    reading = _reading(flags, from_ns=span.from_ns)
    detect.format_of(flags.file)  # Before a broker is asked for anything.
    findings = Findings(strict=flags.strict)
    line = Line(quiet=flags.quiet)

    def progress(report: Report, paused: bool) -> None:
        rate = report.messages / report.seconds if report.seconds else 0
        line.show(f"{report.messages} messages, {rate:.0f}/s{', paused (space resumes)' if paused else ''}")

    def open_capture() -> Iterator[Message]:
        findings.clear()  # Of the pass before.
        return detect.read(flags.file, findings, reading)

    stopping = _stopping()
    with keys() as terminal:
        replayer = Replayer(
            _broker(flags, "replay"), options, choice, stopping=stopping, terminal=terminal, progress=progress,
            log=line.say,
        )  # fmt: skip
        report = replayer.run(open_capture)
    line.end()
    _tell(findings)
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


def _info(flags: argparse.Namespace) -> int:
    findings = Findings(strict=flags.strict)
    name = detect.format_of(flags.file)
    summary = info.summarise(detect.read(flags.file, findings, _reading(flags)))
    document = summary.document(name, findings)
    print(json.dumps(document, indent=2) if flags.json else "\n".join(info.text(document)))
    _tell(findings)
    return 0


def _convert(flags: argparse.Namespace) -> int:
    findings = Findings(strict=flags.strict)
    name = format_for(flags.target, flags.to)
    messages = detect.read(flags.file, findings, _reading(flags))
    done = convert(messages, flags.target, name, overwrite=flags.force)
    _tell(findings)
    if done.properties_lost:
        print(f"{done.properties_lost} messages had MQTT 5 properties, which {name} has no place for", file=sys.stderr)
    document = {"messages": done.messages, "properties_lost": done.properties_lost, "damages": findings.damages_total}
    print(json.dumps(document) if flags.json else f"{done.messages} messages in {flags.target}")
    return 0


def _tell(findings: Findings) -> None:
    for line in findings.lines():
        print(line, file=sys.stderr)


def _broker(flags: argparse.Namespace, role: str) -> Broker:
    """The place where an identity's TLS context belongs: `Broker.tls`."""
    host, port = flags.broker
    return Broker(host=host, port=port, client_id=flags.client_id or f"smartcity-{role}-{secrets.token_hex(4)}")


def _reading(flags: argparse.Namespace, from_ns: int | None = None) -> ReadOptions:
    return ReadOptions(
        base64_payload=None if flags.base64 == "auto" else flags.base64 == "yes",
        way=flags.way,
        device=flags.device,
        from_ns=from_ns,
    )


def _stopping() -> Callable[[], bool]:
    """True after SIGINT or SIGTERM, which then end the command in order."""
    stopped = False

    def stop(_signal: int, _frame: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return lambda: stopped
