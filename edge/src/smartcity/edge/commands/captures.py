"""`info` and `convert`: captures as files. `replay` reads them with the same flags."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..capture import detect, info
from ..capture.convert import FORMATS, convert, format_for
from ..capture.detect import ReadOptions
from ..capture.formats import nmea, pcap
from ..capture.message import Findings
from .flags import device


def add_parsers(commands: Any) -> None:
    summary = commands.add_parser(
        "info",
        help="topics, counts, span and rates of a capture",
        epilog="example: smartcity-edge info city.mcap --json",
    )
    add_reading(summary)
    summary.set_defaults(run=_info)
    conversion = commands.add_parser(
        "convert",
        help="write a capture in another format",
        epilog="example: smartcity-edge convert drive.pcapng drive.mcap",
    )
    add_reading(conversion)
    conversion.add_argument("target", type=Path, help="the file to write")
    conversion.add_argument("--to", choices=FORMATS, help="its format; default by its ending")
    conversion.add_argument("--force", action="store_true", help="replace the file if it exists")
    conversion.set_defaults(run=_convert)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """The capture, how it is to be read, and `--json`."""
    parser.add_argument("file", type=Path, help=f"a capture: {detect.KNOWN}")
    parser.add_argument("--strict", action="store_true", help="end at the first damage, with exit code 1")
    parser.add_argument("--base64", choices=("auto", "yes", "no"), default="auto",
                        help="whether a CSV without header holds base64 (default: by its first rows)")  # fmt: skip
    parser.add_argument("--way", choices=(pcap.TO_BROKER, pcap.FROM_BROKER, "both"), default=pcap.TO_BROKER,
                        help="which PUBLISH packets of a network capture")  # fmt: skip
    parser.add_argument("--device", type=device, default=nmea.DEVICE_DEFAULT, metavar="NAME",
                        help="whose topic an NMEA log's bursts get")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def reading(flags: argparse.Namespace, from_ns: int | None = None) -> ReadOptions:
    """What the flags of `add_reading` say."""
    return ReadOptions(
        base64_payload=None if flags.base64 == "auto" else flags.base64 == "yes",
        way=flags.way,
        device=flags.device,
        from_ns=from_ns,
    )


def tell(findings: Findings) -> None:
    """What could not be read, on standard error."""
    for line in findings.lines():
        print(line, file=sys.stderr)


def _info(flags: argparse.Namespace) -> int:
    findings = Findings(strict=flags.strict)
    name = detect.format_of(flags.file)
    summary = info.summarise(detect.read(flags.file, findings, reading(flags)))
    document = summary.document(name, findings)
    print(json.dumps(document, indent=2) if flags.json else "\n".join(info.text(document)))
    tell(findings)
    return 0


def _convert(flags: argparse.Namespace) -> int:
    findings = Findings(strict=flags.strict)
    name = format_for(flags.target, flags.to)
    messages = detect.read(flags.file, findings, reading(flags))
    done = convert(messages, flags.target, name, overwrite=flags.force)
    tell(findings)
    if done.properties_lost:
        print(f"{done.properties_lost} messages had MQTT 5 properties, which {name} has no place for", file=sys.stderr)
    document = {"messages": done.messages, "properties_lost": done.properties_lost, "damages": findings.damages_total}
    print(json.dumps(document) if flags.json else f"{done.messages} messages in {flags.target}")
    return 0
