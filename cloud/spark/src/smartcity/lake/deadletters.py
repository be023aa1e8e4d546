"""The dead-letter table, read without Spark: pyiceberg through the Glue catalog, filtered before it is read.

What a re-drive needs of a letter is all here: whether it can go back as it came, where to, and under which key it
counts as one and the same message.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from smartcity.contracts.envelope import EnvelopeError, parse_id
from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import DATABASE, DEAD_LETTERS_TABLE
from smartcity.contracts.topics import parse_device_topic, stream_of_topic

from .errors import TransientError
from .settings import Storage

BY_BRIDGE = "bridge"
ROWS_AT_ONCE = 256
_CUT = re.compile(r"\((the payload's \d+ bytes are cut to \d+|\d+ user properties are left out)\)")
_STREAM_OF_KAFKA_TOPIC = {stream.kafka_topic: stream.name for stream in STREAMS}

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One row of the table. `payload` is None where it was not asked for."""

    reason: str
    detail: str | None
    refused_by: str
    device_id: str | None
    id: str | None
    mqtt_topic: str | None
    properties: str | None
    payload_sha256: str
    received_at: datetime
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int
    payload: bytes | None = None

    @property
    def place(self) -> str:
        """Its Kafka coordinates, by which `show` and `redrive` name it."""
        return f"{self.kafka_topic}/{self.kafka_partition}/{self.kafka_offset}"

    @property
    def stream(self) -> str | None:
        """Name of the stream that its topic names, or None."""
        if self.refused_by != BY_BRIDGE:
            return _STREAM_OF_KAFKA_TOPIC.get(self.kafka_topic)
        found = stream_of_topic(self.mqtt_topic or "")
        return None if found is None else found[1].name

    @property
    def identity(self) -> tuple[str, str, int] | None:
        """Device, boot and sequence that the bridge sends a receipt for; None where it sends none."""
        parsed = parse_device_topic(self.mqtt_topic or "") if self.refused_by == BY_BRIDGE else None
        if parsed is None or dict(self.pairs()).get("source") != f"/devices/{parsed[0]}":
            return None
        try:
            return (parsed[0], *parse_id(self.id or ""))
        except EnvelopeError:
            return None

    @property
    def key(self) -> str:
        """Equal for letters of one and the same message, which may have been refused more than once.

        A message without an id is another one at each reception, so there the coordinates make the difference.
        """
        what: tuple[object, ...] = (self.refused_by, self.payload_sha256, json.loads(self.properties or "[]"))
        where = (self.mqtt_topic or self.kafka_topic,) if self.id else (self.place, self.received_at.isoformat())
        return hashlib.sha256(repr((*what, *where)).encode()).hexdigest()

    def pairs(self) -> Pairs:
        """MQTT user properties, or Kafka headers.

        Raises:
            ValueError: a header is not text, so it was not kept.
        """
        found = json.loads(self.properties or "[]")
        for pair in found:
            if len(pair) != 2 or pair[1] is None:
                raise ValueError(f"header {pair[0]!r} was not text and was not kept")
        return tuple((name, value) for name, value in found)

    def obstacle(self) -> str | None:
        """Why it cannot go back as it came; None where it can."""
        if self.refused_by == BY_BRIDGE and not self.mqtt_topic:
            return "its MQTT topic was not kept"
        if self.refused_by == BY_BRIDGE and _CUT.search(self.detail or ""):
            return "it was cut when it was kept"
        if self.refused_by != BY_BRIDGE and self.payload == b"":
            return "a record without a value and one with an empty value are kept alike"
        try:
            self.pairs()
        except ValueError as error:
            return str(error)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters; None: whatever it is."""

    reason: str | None = None
    stream: str | None = None
    refused_by: str | None = None
    device: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    place: str | None = None
    """`topic/partition/offset`."""


def read_letters(storage: Storage, wanted: Wanted, *, with_payload: bool) -> Iterator[Letter]:
    """The letters of the table's current snapshot, file by file, in no order; none where there is no table.

    Raises:
        TransientError: the table cannot be read.
    """
    # Imported here: it takes a second, and every command of `smartcity-lake` passes by this module.
    from pyiceberg.catalog.glue import GlueCatalog  # noqa: PLC0415
    from pyiceberg.exceptions import NoSuchTableError  # noqa: PLC0415

    names = tuple(field.name for field in fields(Letter) if with_payload or field.name != "payload")
    try:
        table = GlueCatalog("lake", **storage.pyiceberg()).load_table((DATABASE, DEAD_LETTERS_TABLE))
        for batch in table.scan(row_filter=_expression(wanted), selected_fields=names).to_arrow_batch_reader():
            for first in range(0, batch.num_rows, ROWS_AT_ONCE):
                for row in batch.slice(first, ROWS_AT_ONCE).to_pylist():
                    letter = Letter(**row | {"received_at": row["received_at"].astimezone(UTC)})
                    if wanted.stream is None or letter.stream == wanted.stream:
                        yield letter
    except NoSuchTableError:
        return
    except (ClientError, BotoCoreError, OSError) as error:
        raise TransientError(f"cannot read {DATABASE}.{DEAD_LETTERS_TABLE} of {storage.bucket}: {error}") from error


def _expression(wanted: Wanted) -> Any:
    """What Iceberg can tell by itself: all but the stream."""
    from pyiceberg import expressions as ex  # noqa: PLC0415

    # pyiceberg's annotations of these three say less than their constructors take.
    equal_to: Any = ex.EqualTo
    not_before: Any = ex.GreaterThanOrEqual
    before: Any = ex.LessThan
    given = {"reason": wanted.reason, "refused_by": wanted.refused_by, "device_id": wanted.device}
    equal: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if wanted.place is not None:
        topic, partition, offset = wanted.place.rsplit("/", 2)
        equal |= {"kafka_topic": topic, "kafka_partition": int(partition), "kafka_offset": int(offset)}
    terms: list[ex.BooleanExpression] = [equal_to(name, value) for name, value in equal.items()]
    if wanted.since is not None:
        terms.append(not_before("received_at", wanted.since.isoformat()))
    if wanted.until is not None:
        terms.append(before("received_at", wanted.until.isoformat()))
    every: ex.BooleanExpression = ex.AlwaysTrue()
    for term in terms:
        every = ex.And(every, term)
    return every
