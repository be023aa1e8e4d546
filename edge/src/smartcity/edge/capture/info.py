"""What a capture holds: topics, counts, sizes, span and rates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .message import Findings, Message

TOPICS_MAX = 200_000
"""Further topics are counted together."""
OTHER_TOPICS = "(further topics)"


@dataclass(slots=True)
class TopicCount:
    messages: int = 0
    payload_bytes: int = 0


@dataclass(slots=True, kw_only=True)
class Summary:
    topics: dict[str, TopicCount]
    first_ns: int | None = None
    last_ns: int | None = None
    out_of_order: int = 0
    """Messages that are older than one before them."""
    with_properties: int = 0

    @property
    def messages(self) -> int:
        return sum(count.messages for count in self.topics.values())

    @property
    def payload_bytes(self) -> int:
        return sum(count.payload_bytes for count in self.topics.values())

    @property
    def seconds(self) -> float:
        return 0.0 if self.first_ns is None or self.last_ns is None else (self.last_ns - self.first_ns) / 1e9

    def rate(self, messages: int) -> float:
        """Per second over the whole span; 0 where there is no span."""
        return round(messages / self.seconds, 3) if self.seconds else 0.0

    def document(self, name: str, findings: Findings) -> dict[str, Any]:
        return {
            "format": name,
            "messages": self.messages,
            "payload_bytes": self.payload_bytes,
            "first": _clock(self.first_ns),
            "last": _clock(self.last_ns),
            "seconds": round(self.seconds, 6),
            "messages_per_s": self.rate(self.messages),
            "with_mqtt5_properties": self.with_properties,
            "out_of_order": self.out_of_order,
            "topics": {
                topic: {
                    "messages": count.messages,
                    "payload_bytes": count.payload_bytes,
                    "messages_per_s": self.rate(count.messages),
                }
                for topic, count in sorted(self.topics.items())
            },
            "damages": [str(damage) for damage in findings.damages],
            "damages_total": findings.damages_total,
            "left_out": dict(findings.skipped),
            "notes": findings.notes,
        }


def summarise(messages: Iterator[Message]) -> Summary:
    """Counts without keeping any message."""
    summary = Summary(topics={})
    topics, newest = summary.topics, 0
    for message in messages:
        count = topics.get(message.topic)
        if count is None:
            name = message.topic if len(topics) < TOPICS_MAX else OTHER_TOPICS
            count = topics.setdefault(name, TopicCount())
        count.messages += 1
        count.payload_bytes += len(message.payload)
        if summary.first_ns is None or message.time_ns < summary.first_ns:
            summary.first_ns = message.time_ns
        if message.time_ns < newest:
            summary.out_of_order += 1
        else:
            newest = message.time_ns
        summary.with_properties += bool(message.properties)
    summary.last_ns = newest if topics else None
    return summary


def text(document: dict[str, Any]) -> Iterator[str]:
    """The document as lines for people."""
    yield f"{document['format']}: {document['messages']} messages, {document['payload_bytes']} bytes of payload"
    if document["messages"]:
        yield f"{document['first']} to {document['last']}: {document['seconds']} s, {document['messages_per_s']} msg/s"
    if document["out_of_order"]:
        yield f"{document['out_of_order']} messages are older than one before them"
    width = max((len(topic) for topic in document["topics"]), default=0)
    for topic, count in document["topics"].items():
        yield (
            f"  {topic:<{width}}  {count['messages']:>8}  {count['payload_bytes']:>12} bytes"
            f"  {count['messages_per_s']:>10} msg/s"
        )


def _clock(time_ns: int | None) -> str | None:
    if time_ns is None:
        return None
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
