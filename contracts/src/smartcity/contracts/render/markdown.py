"""The contract as tables for people: `docs/fields.md`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..fields import Column, Kind, columns
from ..reasons import Reason
from ..streams import STREAMS, Stream
from ..tables import DEAD_LETTERS_TABLE, Lineage, dead_letter_columns
from ..topics import DEAD_LETTERS_TOPIC, KAFKA_TOPICS, reading_topic

_HEADER = """\
# Fields

Rendered from `contracts/` by `python -m smartcity.contracts.render --write`; edits here are overwritten.

A field is *carried* by the envelope (CloudEvents attributes and the MQTT topic), the native payload, the JSON user
property `metadata`, the gateway (the bridge adds it), or the lake (which derives it). Ranges are inclusive. All times
are UTC with microseconds. (device_id, id) identifies a reading.
"""


def fields_page() -> str:
    """The whole page."""
    sections = [_HEADER, _way_table(), *(_stream_section(stream) for stream in STREAMS)]
    sections.append(
        "## Lineage\n\nEvery stream's table in the lake has these columns after its own.\n\n" + table(columns(Lineage))
    )
    sections.append(
        f"## {DEAD_LETTERS_TABLE}\n\nWhat was refused, kept whole.\n\n{table(dead_letter_columns())}\n{_reason_table()}"
    )
    return "\n".join(sections)


def table(fields: Iterable[Column]) -> str:
    """One row per field: name, type (`?` where it may be null), unit, what is allowed, carrier, meaning."""
    rows = (
        [
            f"`{column.name}`",
            f"{column.kind.value}{'?' if column.nullable else ''}",
            column.rules.unit,
            allowed(column),
            column.rules.carrier,
            column.rules.description,
        ]
        for column in fields
    )
    return _table(["field", "type", "unit", "allowed", "carried by", "meaning"], rows)


def allowed(column: Column) -> str:
    """The rules beside the type, in words and numbers."""
    rules = column.rules
    parts = []
    if rules.minimum is not None and rules.maximum is not None:
        parts.append(f"{_number(rules.minimum)} … {_number(rules.maximum)}")
    elif rules.minimum is not None:
        parts.append(f"≥ {_number(rules.minimum)}")
    elif rules.maximum is not None:
        parts.append(f"≤ {_number(rules.maximum)}")
    if rules.choices:
        parts.append(", ".join(f"`{choice}`" for choice in rules.choices))
    if rules.pattern is not None:
        parts.append(f"`{rules.pattern}`")
    if rules.length_max is not None:
        parts.append(f"≤ {rules.length_max} {'items' if column.kind is Kind.STRINGS else 'characters'}")
    return "; ".join(parts)


def _stream_section(stream: Stream) -> str:
    return f"## {stream.name}\n\n{(stream.contract.__doc__ or '').strip()}\n\n{table(columns(stream.contract))}"


def _way_table() -> str:
    topics = {topic.name: topic for topic in KAFKA_TOPICS}

    def rows() -> Iterator[list[str]]:
        for stream in STREAMS:
            topic = topics[stream.kafka_topic]
            yield [
                f"[{stream.name}](#{stream.name})",
                f"`{reading_topic('<device>', stream)}`",
                f"`{stream.content_type}`",
                f"`{stream.event_type}`",
                f"`{topic.name}` ({topic.partitions})",
                f"`{stream.table}`",
            ]
        yield [
            f"[{DEAD_LETTERS_TABLE}](#{DEAD_LETTERS_TABLE})",
            "any",
            "as received",
            "",
            f"`{DEAD_LETTERS_TOPIC}` ({topics[DEAD_LETTERS_TOPIC].partitions})",
            f"`{DEAD_LETTERS_TABLE}`",
        ]

    return _table(["stream", "MQTT topic", "payload", "event type", "Kafka topic (partitions)", "table"], rows())


def _reason_table() -> str:
    return _table(["reason", "meaning"], ([f"`{reason.value}`", reason.meaning] for reason in Reason))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,}"


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    """A pipe would end the cell, even inside code."""
    return text.replace("|", "\\|").replace("\n", " ")
