"""`smartcity-lake deadletters list | show | redrive`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import heapq
import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smartcity.contracts.identity import IdentityError, read_bundle
from smartcity.contracts.reasons import Reason
from smartcity.contracts.streams import STREAM_BY_NAME

from .deadletters import BY_BRIDGE, Letter, Wanted, read_letters
from .deadletters_redrive import Claims, Way, redrive
from .errors import EXIT_OK, EXIT_TRANSIENT, EXIT_USAGE, TerminalError
from .settings import read_storage

if TYPE_CHECKING:
    from .deadletters_ways import MqttWay

LISTED_MAX = 50
SHOWN_BYTES_MAX = 4096
_EXAMPLE = """examples:
  smartcity-lake deadletters list --reason checksum_invalid --since 2026-11-21
  smartcity-lake deadletters show dead_letters/0/42
  smartcity-lake deadletters redrive --stream gps --dry-run
  smartcity-lake deadletters redrive dead_letters/0/42"""


def add_commands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The three commands; each still lacks `--bucket`."""
    parser.epilog, parser.formatter_class = _EXAMPLE, argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="action", required=True)
    listing = commands.add_parser("list", help="how many there are and why, and the newest of them")
    listing.add_argument("--limit", type=int, default=LISTED_MAX, help=f"most lines (default {LISTED_MAX})")
    show = commands.add_parser("show", help="all of one: why, from where, its headers and its bytes")
    show.add_argument("place", type=_place, metavar="TOPIC/PARTITION/OFFSET")
    show.add_argument("--bytes-max", type=int, default=SHOWN_BYTES_MAX, help="most bytes shown (default 4096)")
    back = commands.add_parser("redrive", help="send them back to where they came from, each once, after a fix")
    back.add_argument("place", type=_place, nargs="?", metavar="TOPIC/PARTITION/OFFSET", help="this one only")
    back.add_argument("--all", action="store_true", help="all of them")
    back.add_argument("--again", action="store_true", help="also those that were sent back before")
    back.add_argument("--dry-run", action="store_true", help="say how many, and send nothing")
    back.add_argument("--mqtt", type=_broker, default=os.environ.get("SMARTCITY_MQTT"), metavar="HOST:PORT",
                      help="the gateway (SMARTCITY_MQTT); else the identity's, or localhost:1883")  # fmt: skip
    back.add_argument("--mqtt-identity", type=Path, default=os.environ.get("SMARTCITY_REDRIVE_IDENTITY"),
                      metavar="FILE", help="bundle of smartcity-edge add-operator NAME --role redriver: TLS "
                      "(SMARTCITY_REDRIVE_IDENTITY)")  # fmt: skip
    kafka = os.environ.get("SMARTCITY_KAFKA", "localhost:9092")
    back.add_argument("--kafka", default=kafka, metavar="HOST:PORT", help=f"Kafka (default {kafka})")
    for command in (listing, back):
        command.add_argument("--reason", choices=[str(reason) for reason in Reason], metavar="REASON", help="a code")
        command.add_argument("--stream", choices=list(STREAM_BY_NAME), help="of the topic it came on")
        command.add_argument("--refused-by", choices=("bridge", "lake"))
        command.add_argument("--device")
        command.add_argument("--since", type=_moment, metavar="TIME", help="received then or later (UTC)")
        command.add_argument("--until", type=_moment, metavar="TIME", help="received before (UTC)")
    for command in (listing, show, back):
        command.add_argument("--json", action="store_true", help="as one JSON document")
    return [listing, show, back]


def run(options: argparse.Namespace) -> int:
    """The exit code."""
    return {"list": _list, "show": _show, "redrive": _redrive}[options.action](options)


def _list(options: argparse.Namespace) -> int:
    counts: Counter[tuple[str, str, str]] = Counter()

    def counted() -> Any:
        for letter in read_letters(read_storage(options.bucket), _wanted(options), with_payload=False):
            counts[letter.reason, letter.refused_by, letter.stream or "-"] += 1
            yield letter

    newest = heapq.nlargest(options.limit, counted(), key=lambda letter: (letter.received_at, letter.place))
    groups = [
        {"reason": reason, "refused_by": by, "stream": stream, "letters": number}
        for (reason, by, stream), number in counts.most_common()
    ]
    if options.json:
        print(json.dumps({"counts": groups, "newest": [_document(letter) for letter in newest]}))
        return EXIT_OK
    print(f"{'reason':<22} {'refused by':<11} {'stream':<10} {'letters':>8}")
    for group in groups:
        print("{reason:<22} {refused_by:<11} {stream:<10} {letters:>8}".format(**group))
    if newest:
        print(f"\nThe newest {len(newest)} of {counts.total()}:")
    for letter in newest:
        who = f"{letter.device_id or '-'} {letter.id or '-'}"
        print(f"{letter.received_at:%Y-%m-%d %H:%M:%S} {letter.place} {letter.reason} {who}: {letter.detail or ''}")
    return EXIT_OK


def _show(options: argparse.Namespace) -> int:
    found = list(read_letters(read_storage(options.bucket), Wanted(place=options.place), with_payload=True))
    if not found:
        print(f"smartcity-lake: no dead letter {options.place}; `deadletters list` names them", file=sys.stderr)
        return EXIT_TRANSIENT
    if options.json:
        print(json.dumps([_document(letter) for letter in found]))
        return EXIT_OK
    for letter in found:
        print(letter_text(letter, options.bytes_max))
    return EXIT_OK


def letter_text(letter: Letter, bytes_max: int = SHOWN_BYTES_MAX) -> str:
    """All of a letter for people: text where its bytes are text, else a hexadecimal dump."""
    meaning = {str(reason): reason.meaning for reason in Reason}.get(letter.reason, "")
    lines = [
        f"reason      {letter.reason} ({meaning})",
        f"detail      {letter.detail or '-'}",
        f"refused by  {letter.refused_by} at {letter.received_at:%Y-%m-%d %H:%M:%S.%f} UTC",
        f"device, id  {letter.device_id or '-'}, {letter.id or '-'}",
        f"MQTT topic  {letter.mqtt_topic or '-'}",
        f"in Kafka    {letter.place}",
        f"sha256      {letter.payload_sha256}",
        f"back        {letter.obstacle() or 'can be sent back'}",
    ]
    lines += [f"  {name}: {value}" for name, value in json.loads(letter.properties or "[]")]
    payload = letter.payload or b""
    cut = f", the first {bytes_max} of them" if len(payload) > bytes_max else ""
    return "\n".join([*lines, f"{len(payload)} bytes{cut}:", bytes_text(payload[:bytes_max])])


def bytes_text(payload: bytes) -> str:
    """Text as it is, if it is printable UTF-8; else 16 bytes per line in hexadecimal, with their characters."""
    with contextlib.suppress(UnicodeDecodeError):
        text = payload.decode()
        if all(character.isprintable() or character in "\r\n\t" for character in text):
            return text
    lines = []
    for first in range(0, len(payload), 16):
        part = payload[first : first + 16]
        characters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{first:08x}  {part.hex(' '):<47}  {characters}")
    return "\n".join(lines)


def _redrive(options: argparse.Namespace) -> int:
    wanted = dataclasses.replace(_wanted(options), place=options.place)
    if wanted == Wanted() and not options.all:
        print("smartcity-lake: say which: TOPIC/PARTITION/OFFSET, --reason, --stream …, or --all", file=sys.stderr)
        return EXIT_USAGE
    storage = read_storage(options.bucket)
    if options.dry_run:
        letters = list(read_letters(storage, wanted, with_payload=False))
        keys = {letter.key for letter in letters}
        print(json.dumps({"letters": len(letters), "messages": len(keys)}) if options.json else
              f"{len(letters)} letters of {len(keys)} messages would be sent back")  # fmt: skip
        return EXIT_OK
    # Imported here: only sending needs the clients of both brokers.
    from .deadletters_ways import KafkaWay  # noqa: PLC0415

    needed = {letter.refused_by for letter in read_letters(storage, wanted, with_payload=False)}
    with contextlib.ExitStack() as stack:
        ways: dict[str, Way] = {}
        if BY_BRIDGE in needed:  # Connected before anything is claimed.
            ways[BY_BRIDGE] = stack.enter_context(mqtt_way(options.mqtt, options.mqtt_identity))
        if needed - {BY_BRIDGE}:
            ways["lake"] = KafkaWay(options.kafka)
        letters_back = read_letters(storage, wanted, with_payload=True)
        counts = redrive(
            letters_back,
            ways,
            Claims(storage),
            again=options.again,
            progress=lambda line: print(line, file=sys.stderr),
        )
    names = ("sent", "failed", "already", "unclear", "impossible", "repeated")
    result = {name: counts[name] for name in names}
    print(json.dumps(result) if options.json else ", ".join(f"{number} {name}" for name, number in result.items()))
    return EXIT_TRANSIENT if counts["failed"] or counts["unclear"] else EXIT_OK


def mqtt_way(address: tuple[str, int] | None, bundle: Path | None) -> MqttWay:
    """To the gateway at an address, or the one that an identity names.

    Raises:
        TerminalError: the identity cannot be used.
    """
    from .deadletters_ways import MqttWay  # noqa: PLC0415

    if bundle is None:
        return MqttWay(*(address or ("localhost", 1883)))
    try:
        identity = read_bundle(bundle)
        return MqttWay(*(address or (identity.host, identity.port)), tls=identity.tls())
    except IdentityError as error:
        raise TerminalError(str(error)) from error


def _wanted(options: argparse.Namespace) -> Wanted:
    names = ("reason", "stream", "refused_by", "device", "since", "until")
    return Wanted(**{name: getattr(options, name) for name in names})


def _document(letter: Letter) -> dict[str, Any]:
    document = dataclasses.asdict(letter) | {"place": letter.place, "stream": letter.stream}
    document["received_at"] = letter.received_at.isoformat()
    payload = document.pop("payload")
    return document if payload is None else document | {"payload_hex": payload.hex()}


def _place(text: str) -> str:
    parts = text.rsplit("/", 2)
    if len(parts) != 3 or not all(part.isdecimal() for part in parts[1:]):
        raise argparse.ArgumentTypeError(f"{text!r} is not TOPIC/PARTITION/OFFSET, e.g. dead_letters/0/42")
    return text


def _broker(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time, e.g. 2026-11-21T08:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
