"""MCAP: the form in which captures are recorded. One channel per topic, log_time = reception, publish_time = senttime.

Chunks are compressed with zstd. A file that ends anywhere is read up to its last whole record: what a chunk holds is
safe once it is written, and the recorder writes one at least every second. Format: mcap.dev/spec.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, Metadata, Schema
from mcap.stream_reader import get_chunk_data_stream
from mcap.writer import MCAP0_MAGIC, CompressionType
from mcap.writer import Writer as McapLibraryWriter

from smartcity.contracts.mqtt import MalformedPacketError

from ..errors import CaptureError
from ..message import Findings, Message
from . import protobuf

MAGIC = MCAP0_MAGIC
PROFILE = "smartcity-mqtt"
CHUNK_BYTES = 1024 * 1024
RECORD_BYTES_MAX = 256 * 1024 * 1024
"""A foreign writer's chunk larger than this is damage: reading it would need as much memory."""
CHANNELS_MAX = 65_535
"""A channel's number has 16 bits."""
INDEX_ENTRIES_MAX = 1_000_000
"""A file's index waits in memory for its end, an entry for each topic of each chunk: about 100 bytes each."""
GAP_NAME = "smartcity.gap"
"""Metadata record: from when to when the recorder had no connection."""

_MESSAGE_HEAD = struct.Struct("<BQHIQQ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SENT_TIME = b"\x00\x08senttime"
"""Name of the user property with its length."""


class McapWriter:
    """Writes one file. Not thread-safe; the caller flushes by time, chunks flush themselves by size."""

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """
        Raises:
            CaptureError: the file is there already, or cannot be made.
        """
        try:
            self._file: BinaryIO = path.open("wb" if overwrite else "xb")
        except FileExistsError as error:
            raise CaptureError(f"{path} exists; choose another name, or remove it first") from error
        except OSError as error:
            raise CaptureError(f"cannot write {path}: {error.strerror}") from error
        self.path = path
        self.messages = 0
        self._final_bytes = 0
        self._index_entries = 0
        self._flushed = (0, 0)
        """Messages and bytes by the last flush."""
        self._channels: dict[str, int] = {}
        self._writer: Any = McapLibraryWriter(self._file, chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD)
        self._writer.start(profile=PROFILE, library="smartcity-edge")
        self._file.flush()  # Whatever happens from now on, it is an MCAP file.
        self._schema = self._writer.register_schema(protobuf.SCHEMA_NAME, protobuf.ENCODING, protobuf.definition())

    @property
    def bytes_written(self) -> int:
        """What is in the file; up to a chunk more is still in memory."""
        return self._final_bytes or self._file.tell()

    @property
    def full(self) -> bool:
        """Whether no further topic has room, or the index takes no more memory."""
        return len(self._channels) >= CHANNELS_MAX or self._index_entries >= INDEX_ENTRIES_MAX

    def write(self, message: Message) -> None:
        topic = message.topic
        channel = self._channels.get(topic)
        if channel is None:
            channel = self._writer.register_channel(topic, protobuf.ENCODING, self._schema)
            self._channels[topic] = channel
        time_ns, properties = message.time_ns, message.properties
        self._writer.add_message(channel, time_ns, protobuf.encode(message), sent_ns(properties) or time_ns)
        self.messages += 1

    def gap(self, lost_ns: int, back_ns: int) -> None:
        """Note that nothing could be recorded in between."""
        self._writer.flush()
        self._writer.add_metadata(GAP_NAME, {"lost_ns": str(lost_ns), "back_ns": str(back_ns)})

    def flush(self) -> None:
        """Hand everything to the operating system: a kill of this process costs nothing of it."""
        before = self._flushed
        self._writer.flush()
        written = self.messages - before[0]
        self._flushed = (self.messages, self._file.tell())
        chunks = 1 + (self._flushed[1] - before[1]) // CHUNK_BYTES
        self._index_entries += min(written, len(self._channels) * chunks)  # Rather too many than too few.

    def close(self) -> None:
        """Write index and footer."""
        self._writer.finish()
        self._final_bytes = self._file.tell()
        self._file.close()


def sent_ns(properties: bytes) -> int | None:
    """The user property `senttime`, or None where there is none, or none that can be read."""
    at = properties.find(_SENT_TIME)
    if at < 0:
        return None
    at += len(_SENT_TIME) + 2
    return _time_ns(properties[at : at + int.from_bytes(properties[at - 2 : at])])


@lru_cache(maxsize=1024)  # A fleet stamps many readings with one time.
def _time_ns(text: bytes) -> int | None:
    try:
        elapsed = datetime.fromisoformat(text.decode("ascii")) - _EPOCH
    except (ValueError, TypeError):
        return None
    nanoseconds = ((elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds) * 1_000
    return nanoseconds if nanoseconds > 0 else None


def read(path: Path, findings: Findings, *, from_ns: int | None = None) -> Iterator[Message]:
    """The messages in the order of the file.

    Args:
        from_ns: chunks that end before it need not be read.

    Raises:
        CaptureError: the file cannot be opened.
    """
    with path.open("rb") as file:
        reader = _Reader(file, findings, from_ns)
        yield from reader.messages()


class _Reader:
    """One pass through a file. Record frames are read here, so that a cut is noticed where it is; what is in a record
    is the library's matter, but for messages, which are many."""

    def __init__(self, file: BinaryIO, findings: Findings, from_ns: int | None) -> None:
        self._file = file
        self._findings = findings
        self._from_ns = from_ns
        self._size = os.fstat(file.fileno()).st_size
        self._topics: dict[int, tuple[str, bool]] = {}
        """Topic of each channel, and whether its messages are ours."""
        self._ours: set[int] = set()
        self._ended = self._ends_in_order()
        self._indexed = self._ended and self._read_summary()

    def messages(self) -> Iterator[Message]:
        at = len(MAGIC)
        while True:
            self._file.seek(at)
            head = self._file.read(9)
            if len(head) < 9:
                self._cut(at, len(head))
                return
            opcode, length = head[0], int.from_bytes(head[1:], "little")
            left = self._size - at - 9
            if length > left:
                self._cut(at, left + 9)
                return
            if opcode == Opcode.DATA_END:
                if not self._ended:
                    self._findings.damage(f"byte {at}", "the file is cut in its index; every message is there")
                return
            if length > RECORD_BYTES_MAX:
                self._findings.damage(f"byte {at}", f"a record of {length} bytes, more than {RECORD_BYTES_MAX}")
            elif opcode == Opcode.MESSAGE:
                yield from self._unpack(head + self._file.read(length), at)
            elif opcode in _HELD:
                yield from self._record(opcode, self._file.read(length), at)
            at += 9 + length

    def _record(self, opcode: int, body: bytes, at: int) -> Iterator[Message]:
        stream = ReadDataStream(BytesIO(body))
        try:
            if opcode == Opcode.CHUNK:
                chunk = Chunk.read(stream)
                if self._from_ns is not None and self._indexed and chunk.message_end_time < self._from_ns:
                    return
                data = get_chunk_data_stream(chunk, validate_crc=True)[0].read(chunk.uncompressed_size)
            elif opcode == Opcode.METADATA:
                self._metadata(Metadata.read(stream))
                return
            else:
                self._define(opcode, body)
                return
        except Exception as error:  # Damaged bytes raise whatever the decompressor or struct raises.
            self._findings.damage(f"byte {at}", f"a record that cannot be read, {9 + len(body)} bytes: {error}")
            return
        yield from self._unpack(data, at)

    def _unpack(self, data: bytes, at_file: int) -> Iterator[Message]:
        """The records of a chunk."""
        at, end, unpack, topics = 0, len(data), _MESSAGE_HEAD.unpack_from, self._topics
        while end - at >= 9:
            opcode = data[at]
            if opcode == Opcode.MESSAGE and end - at >= _MESSAGE_HEAD.size:
                _, length, channel, _, log_time, _ = unpack(data, at)
                body = data[at + _MESSAGE_HEAD.size : at + 9 + length]
                found = topics.get(channel)
                if found is None:
                    self._findings.damage(f"byte {at_file}", f"a message of channel {channel}, which is not defined")
                elif found[1]:
                    try:
                        yield protobuf.decode(body, found[0], log_time)
                    except MalformedPacketError as error:
                        self._findings.damage(f"byte {at_file}", f"{error} (topic {found[0]})")
                else:
                    yield Message(log_time, found[0], 0, False, b"", body)
            else:
                length = int.from_bytes(data[at + 1 : at + 9], "little")
                self._define(opcode, data[at + 9 : at + 9 + length])
            at += 9 + length

    def _define(self, opcode: int, body: bytes) -> None:
        stream = ReadDataStream(BytesIO(body))
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(stream)
            if schema.name == protobuf.SCHEMA_NAME and schema.encoding == protobuf.ENCODING:
                self._ours.add(schema.id)
        elif opcode == Opcode.CHANNEL:
            channel = Channel.read(stream)
            self._topics[channel.id] = (channel.topic, channel.schema_id in self._ours)

    def _metadata(self, record: Metadata) -> None:
        if record.name == GAP_NAME:
            lost, back = (_clock(record.metadata.get(name, "0")) for name in ("lost_ns", "back_ns"))
            self._findings.notes.append(f"the recorder had no connection from {lost} to {back}")

    def _ends_in_order(self) -> bool:
        self._file.seek(max(len(MAGIC), self._size - len(MAGIC)))
        return self._file.read() == MAGIC

    def _read_summary(self) -> bool:
        """Topics from the end of a file that was finished: so a damaged chunk takes no others with it."""
        self._file.seek(0)
        try:
            summary = make_reader(self._file).get_summary()
        except (McapError, ValueError, struct.error) as error:
            self._findings.notes.append(f"its index cannot be read ({error}); read without it")
            return False
        if summary is None:
            return False
        for schema in summary.schemas.values():
            if schema.name == protobuf.SCHEMA_NAME and schema.encoding == protobuf.ENCODING:
                self._ours.add(schema.id)
        for channel in summary.channels.values():
            self._topics[channel.id] = (channel.topic, channel.schema_id in self._ours)
        return bool(summary.channels)

    def _cut(self, at: int, left: int) -> None:
        if left:
            self._findings.damage(f"byte {at}", f"the file is cut: the last {left} bytes are no whole record")
        else:
            self._findings.damage(
                f"byte {at}", "the file was not finished: it has no footer, and every record is whole"
            )


_HELD = frozenset({Opcode.CHUNK, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.METADATA})


def _clock(nanoseconds: str) -> str:
    return datetime.fromtimestamp(int(nanoseconds) / 1e9, UTC).isoformat(timespec="milliseconds")
