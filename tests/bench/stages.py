"""Where the time of a reading goes: each stage of the bridge's main thread by itself, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer
from messages import make_reading
from wire import publish

from smartcity.bridge.examine import examine
from smartcity.bridge.message import Message, Reception
from smartcity.bridge.publish import parse_publish
from smartcity.bridge.route import Routes
from smartcity.bridge.stamp import read_stamp

MESSAGES = 20_000
FIXED_HEADER_BYTES = 3


def stage_cpu_us(stream_name: str) -> dict[str, float]:
    """CPU µs per message. What the stages leave of the main thread's time is reading, reports, receipts and PUBACKs."""
    packets = []
    for number in range(MESSAGES):
        topic, pairs, payload = make_reading(stream_name, number)
        packets.append(publish(topic, number % 65_000 + 1, pairs, payload))
    figures: dict[str, float] = {}

    def timed(name: str, work: Callable[[], list[Any]]) -> list[Any]:
        started = time.thread_time()
        made = work()
        figures[name] = round(1e6 * (time.thread_time() - started) / MESSAGES, 2)
        return made

    parsed = timed(
        "PUBLISH packet parsed",
        lambda: [parse_publish(one[0], one, FIXED_HEADER_BYTES, len(one), with_properties=True) for one in packets],
    )
    routes, reception = Routes(), Reception.now()
    stamped = timed(
        "topic and envelope read",
        lambda: [(one, route := routes.find(one.topic), read_stamp(one.properties, route.claimed)) for one in parsed],
    )
    messages = timed(
        "message object",
        lambda: [
            Message(
                route=route, payload=one.payload, property_bytes=one.properties, stamp=stamp, qos=one.qos,
                retain=one.retain, packet_id=one.packet_id, epoch=1, reception=reception,
            )
            for one, route, stamp in stamped
        ],
    )  # fmt: skip
    records = timed("payload decoded, checked, encoded", lambda: [examine(one, lambda: "") for one in messages])
    # Nobody listens there: the records stay in the producer's buffer.
    producer = Producer({"bootstrap.servers": "127.0.0.1:1", "queue.buffering.max.messages": MESSAGES, "log_level": 0})
    timed(
        "handed to librdkafka",
        lambda: [producer.produce(one.topic, one.value, one.key, -1, None, None, 0, one.headers) for one in records],
    )
    producer.purge()
    return figures
