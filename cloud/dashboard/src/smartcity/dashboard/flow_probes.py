"""Questions to the parts of the pipeline, each with a deadline. They block; threads of their own ask."""

from __future__ import annotations

import http.client
import logging
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from smartcity.contracts.topics import KAFKA_TOPICS

from .settings import FLOW_ANSWER_BYTES_MAX, FLOW_TIMEOUT_S

_TOPICS = tuple(topic.name for topic in KAFKA_TOPICS)
SILENT = logging.getLogger("smartcity.dashboard.librdkafka")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came over HTTP; `trouble` says why nothing did. A status of 503 is an answer."""

    status: int = 0
    text: str = field(default="", repr=False)
    trouble: str | None = None


def ask(url: str, timeout_s: float = FLOW_TIMEOUT_S) -> Answer:
    """GET. Raises nothing."""
    # What is watched is never behind a proxy, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as answer:
            return Answer(status=answer.status, text=answer.read(FLOW_ANSWER_BYTES_MAX).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(status=error.code, text=error.read(2_000).decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "reason", error)
        return Answer(trouble=f"no answer within {timeout_s:g} s" if isinstance(why, TimeoutError) else _plain(why))


def _plain(why: object) -> str:
    text = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
    return text[:1].lower() + text[1:]


def watched(url: str | None) -> str | None:
    """An AWS endpoint that can be asked how it is: one of our own. AWS's are not asked."""
    if not url:
        return None
    host = urllib.parse.urlsplit(url).hostname or ""
    return None if host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".aws")) else url.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSeen:
    """End offsets by topic and partition, as far as they are known."""

    brokers: int = 0
    ends: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    """Topics that are not there, and partitions that nobody leads."""
    trouble: str | None = None


class KafkaProbe:
    """Asks one Kafka for the ends of the contract's topics. Belongs to one thread at a time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: AdminClient | None = None

    def ask(self) -> KafkaSeen:
        """What Kafka says now. Raises nothing."""
        if self._client is None:
            self._client = AdminClient(kafka_options(self._address), logger=SILENT)
        try:
            known = self._client.list_topics(timeout=FLOW_TIMEOUT_S)
            wanted = {
                TopicPartition(name, number): OffsetSpec.latest()  # type: ignore[no-untyped-call]
                for name in _TOPICS
                for number in (known.topics[name].partitions if name in known.topics else ())
            }
            asked = self._client.list_offsets(wanted, request_timeout=FLOW_TIMEOUT_S) if wanted else {}
        except (KafkaException, ValueError) as error:
            return KafkaSeen(trouble=kafka_words(error))
        missing = [name for name in _TOPICS if name not in known.topics]
        ends: dict[str, dict[int, int]] = {}
        for place, future in asked.items():
            try:
                ends.setdefault(place.topic, {})[place.partition] = future.result(FLOW_TIMEOUT_S).offset
            except (KafkaException, TimeoutError):
                missing.append(f"{place.topic}/{place.partition}")
        return KafkaSeen(brokers=len(known.brokers), ends=ends, missing=tuple(missing))


def kafka_options(address: str) -> dict[str, str | int | float | bool]:
    """What every client of ours here says to librdkafka: try again soon, and do not log that a broker is away."""
    return {
        "bootstrap.servers": address,
        "client.id": "smartcity-dashboard",
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 500,
        "socket.connection.setup.timeout.ms": 2_000,
        "log_level": 0,
    }


def kafka_words(error: Exception) -> str:
    """What librdkafka says, without its codes."""
    inner = error.args[0] if error.args else error
    return inner.str() if hasattr(inner, "str") else str(inner)
