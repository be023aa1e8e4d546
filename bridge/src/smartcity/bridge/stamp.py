"""The envelope as our devices write it, read from a PUBLISH's property bytes in one match.

CloudEvents attributes may come in any order and form; `smartcity.contracts.envelope` reads all of them. Nearly every
message has them in one order and form, though, and that form needs no objects. What does not match is not refused: the
thorough passage reads it.
"""

from __future__ import annotations

import re

import msgspec

from smartcity.contracts.envelope import METADATA_PROPERTY, SPEC_VERSION
from smartcity.contracts.streams import STREAMS, Stream

_TIME = rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)"
_CONTENT_TYPE = 0x03


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What the envelope of one message says. Times are texts of the right form; they may still name no real moment."""

    id: bytes
    boot: bytes
    sequence: bytes
    time: bytes
    sent_time: bytes
    metadata: bytes | None


def _text(value: str) -> bytes:
    return len(value.encode()).to_bytes(2) + value.encode()


def _name(name: str) -> bytes:
    """How a user property of that name begins."""
    return b"\x26" + _text(name)


def claim(device: str, stream: Stream) -> bytes:
    """The part of the properties that is the same in every reading of a stream of a device: source and type."""
    return _name("source") + _text(f"/devices/{device}") + _name("type") + _text(stream.event_type)


_FORM = re.compile(
    b"(?:" + b"|".join({re.escape(bytes((_CONTENT_TYPE,)) + _text(stream.content_type)) for stream in STREAMS}) + b")?"
    + re.escape(_name("specversion") + _text(SPEC_VERSION) + _name("id"))
    + rb"\x00(.)(([0-9a-f]{16})\.([1-9][0-9]{0,17}))"
    + rb"(\x26\x00\x06source\x00.[a-z0-9/-]{10,41}\x26\x00\x04type\x00.[a-z0-9.]{1,60})"
    + re.escape(_name("time")) + rb"\x00\x1b" + _TIME
    + re.escape(_name("senttime")) + rb"\x00\x1b" + _TIME
    + rb"(?:" + re.escape(_name(METADATA_PROPERTY)) + rb"(..)(.*))?",
    re.DOTALL,
)  # fmt: skip


def read_stamp(properties: bytes, claimed: bytes) -> Stamp | None:
    """The stamp of a message whose source and type are those of its topic (`claimed`); None where it has another form.

    Guarantees: properties that give a stamp are well-formed, and `read_envelope` reads the same from them, except that
    it refuses times that do not exist.
    """
    match = _FORM.fullmatch(properties)
    if match is None:
        return None
    length, identity, boot, sequence, source_and_type, time, sent_time, metadata_length, metadata = match.groups()
    if source_and_type != claimed or length[0] != len(identity):
        return None
    if metadata is not None and int.from_bytes(metadata_length) != len(metadata):
        return None
    return Stamp(identity, boot, sequence, time, sent_time, metadata)
