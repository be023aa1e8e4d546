"""Kafka filled as the bridge fills it: its own records, of all five streams, as a city of vehicles makes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from confluent_kafka import Producer
from messages import make_reading
from wire import publish

from smartcity.bridge.examine import Record, examine
from smartcity.bridge.message import Message, Reception
from smartcity.bridge.publish import parse_publish
from smartcity.bridge.route import Routes
from smartcity.bridge.stamp import read_stamp
from smartcity.contracts.mqtt import find_packet

MIX = {"gps": 46, "vehicle": 46, "weather": 5, "emergency": 2, "camera": 1}
"""Records of each stream in a hundred."""
_PATTERN = [name for turn in range(max(MIX.values())) for name, share in MIX.items() if turn < share]
FRAME_BYTES = 2_000
SPAN_S = 1_200
"""Event times of all records lie within, before now."""
TURN = 1_000
PROCESSES = os.cpu_count() or 1


def records(count: int, *, part: int = 0, parts: int = 1) -> Iterator[Record]:
    """One of several parts of `count` records, taken in turns of TURN.

    Camera records all carry the same small frame: what storing frames costs is not the question here.
    """
    head = make_reading("camera", 0)[2]
    frame = head[:FRAME_BYTES] + head[-2:]
    routes, reception = Routes(), Reception.now()
    made = dict.fromkeys(MIX, 0)
    for number in range(count):
        stream = _PATTERN[number % len(_PATTERN)]
        of_stream = made[stream]
        made[stream] += 1
        if number // TURN % parts != part:
            continue
        step_ms = 1e3 * SPAN_S / (count * MIX[stream] / 100)
        topic, pairs, payload = make_reading(stream, of_stream, step_ms=step_ms)
        if stream == "camera":
            payload = frame
        packet = publish(topic, number % 65_000 + 1, pairs, payload)
        found = find_packet(packet, 0, len(packet))
        assert found, "a whole packet"
        parsed = parse_publish(packet[0], packet, *found, with_properties=True)
        route = routes.find(parsed.topic)
        message = Message(
            route=route, payload=parsed.payload, property_bytes=parsed.properties,
            stamp=read_stamp(parsed.properties, route.claimed), qos=1, retain=False, packet_id=1, epoch=1,
            reception=reception,
        )  # fmt: skip
        yield examine(message, lambda: "")


def fill(kafka: str, count: int) -> float:
    """Mean bytes of a value; frames left out.

    Raises:
        SystemExit: Kafka did not take all of them.
    """
    with ProcessPoolExecutor(PROCESSES) as pool:
        sizes = sum(pool.map(_fill_part, [kafka] * PROCESSES, [count] * PROCESSES, range(PROCESSES)))
    return sizes / (count * (100 - MIX["camera"]) / 100)


def _fill_part(kafka: str, count: int, part: int) -> int:
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 50, "compression.type": "lz4"})
    sizes = 0
    for number, record in enumerate(records(count, part=part, parts=PROCESSES)):
        while True:
            try:
                producer.produce(record.topic, record.value, record.key, headers=record.headers)
                break
            except BufferError:
                producer.poll(0.1)
        if record.topic != "traffic_data":
            sizes += len(record.value or b"")
        if number % 1000 == 0:
            producer.poll(0)
    if producer.flush(60):
        raise SystemExit("Kafka did not take all records")
    return sizes
