"""What the lake must show: the logged bytes, decoded again, as the rows that must come of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from smartcity.contracts.envelope import Envelope
from smartcity.contracts.fields import columns
from smartcity.contracts.streams import STREAM_BY_NAME, STREAMS, Reading, Stream

from .arrow import REJECTED, expected_schema
from .generated import Logged
from .places import locate_near

Decode = Callable[[Stream, Logged, Envelope], Reading]
"""Gives the contract that a payload carries, or raises one of the errors given as `rejections`."""

_ROWS_PER_TABLE = 10_000
_PROGRESS_EVERY = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Rows by stream (schema `expected_schema`) and the readings that no row can come of (schema REJECTED)."""

    rows: dict[str, Any]
    rejected: Any


def envelope_of(logged: Logged, stream: Stream) -> Envelope:
    """The envelope that the device published the reading with, but for the sending time."""
    return Envelope(
        boot=logged.boot,
        sequence=logged.sequence,
        device_id=logged.device_id,
        event_type=stream.event_type,
        time=_EPOCH + timedelta(microseconds=logged.event_time_us),
    )


def expect(
    bodies: Iterable[Logged],
    decode: Decode,
    rejections: tuple[type[Exception], ...],
    progress: Callable[[int], None] = lambda done: None,
) -> Expected:
    """Decodes every body. `progress` is told now and then how many are done.

    An exception outside `rejections` is a defect of the decoder and propagates.
    """
    streams = {stream.name: _Rows(stream) for stream in STREAMS}
    rejected: list[tuple[str, str, str, str]] = []
    done = 0
    for logged in bodies:
        reading_id = f"{logged.boot}.{logged.sequence}"
        stream = STREAM_BY_NAME.get(logged.stream)
        if stream is None:
            rejected.append((logged.device_id, reading_id, logged.stream, f"no stream {logged.stream!r}"))
            continue
        try:
            reading = decode(stream, logged, envelope_of(logged, stream))
        except rejections as error:
            rejected.append((logged.device_id, reading_id, logged.stream, str(error)))
        else:
            streams[stream.name].add(reading, hashlib.sha256(logged.payload).hexdigest())
        done += 1
        if done % _PROGRESS_EVERY == 0:
            progress(done)
    progress(done)
    values = list(zip(*rejected, strict=True)) if rejected else [()] * len(REJECTED)
    return Expected(
        rows={name: rows.table() for name, rows in streams.items()},
        rejected=pa.table([pa.array(v, f.type) for f, v in zip(REJECTED, values, strict=True)], schema=REJECTED),
    )


@dataclass(slots=True)
class _Rows:
    """Rows of one stream, turned into Arrow in portions."""

    stream: Stream
    readings: list[Reading] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    portions: list[Any] = field(default_factory=list)

    def add(self, reading: Reading, digest: str) -> None:
        self.readings.append(reading)
        self.digests.append(digest)
        if len(self.readings) >= _ROWS_PER_TABLE:
            self._flush()

    def table(self) -> Any:
        self._flush()
        return pa.concat_tables(self.portions)

    def _flush(self) -> None:
        schema = expected_schema(self.stream)
        names = [column.name for column in columns(self.stream.contract)]
        values: dict[str, Any] = {name: [getattr(reading, name) for reading in self.readings] for name in names}
        places = [locate_near(*position) for position in zip(values["latitude"], values["longitude"], strict=True)]
        values["route"], values["route_km"] = [name for name, _ in places], [km for _, km in places]
        values["payload_sha256"] = self.digests
        self.portions.append(
            pa.table({column.name: pa.array(values[column.name], column.type) for column in schema}, schema=schema)
        )
        self.readings, self.digests = [], []
