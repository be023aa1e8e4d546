"""The bridge as a process between a real Mosquitto and a real Kafka."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from smartcity.contracts.receipts import decode_receipt
from smartcity.contracts.streams import STREAMS
from smartcity.contracts.topics import DEAD_LETTERS_TOPIC, reading_topic

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]


class Device:
    """A plain MQTT 5 publisher that also listens to its receipts."""

    def __init__(self, port: int) -> None:
        self.confirmed: set[tuple[str, str, int]] = set()
        self._accepted = threading.Semaphore(200)
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.max_inflight_messages_set(200)
        self.client.on_message = self._on_message
        self.client.on_connect = lambda client, *_: client.subscribe("receipts/#", qos=1)
        self.client.on_publish = lambda *_: self._accepted.release()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        device = message.topic.removeprefix("receipts/")
        for boot, spans in decode_receipt(message.payload).items():
            for first, last in spans:
                self.confirmed |= {(device, boot, number) for number in range(first, last + 1)}

    def publish(self, topic: str, payload: bytes, pairs: Any = (), *, qos: int = 1, retain: bool = False) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        if pairs:
            properties.UserProperty = list(pairs)
        assert self._accepted.acquire(timeout=60)
        self.client.publish(topic, payload, qos=qos, retain=retain, properties=properties)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def device(mosquitto: Any) -> Iterator[Device]:
    mosquitto.start()
    made = Device(mosquitto.port)
    yield made
    made.close()


def headers_of(record: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers()}


def header_names(record: Any) -> list[str]:
    return [name for name, _ in record.headers()]


ENVELOPE_HEADERS = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_senttime"]


def test_a_message_goes_its_way_and_a_bad_one_harms_none(samples: Any, real: Any, device: Device) -> None:
    """Kafka is down when the bridge starts. All streams, then everything that can be wrong, then all streams again."""
    bridge = real.make_bridge()
    bridge.start()
    real.wait("the gateway's side", lambda: bridge.get("/readyz")[1].startswith("Kafka: cannot be reached"))
    assert (bridge.get("/readyz")[0], bridge.get("/healthz")[0]) == (503, 200)

    def publish_all(sequence: int) -> None:
        for number, stream in enumerate(STREAMS):
            properties = samples.properties(stream.name, sequence=sequence + number)
            device.publish(reading_topic("dev-1", stream), samples.payloads[stream.name], properties)

    publish_all(1)
    broken = samples.payloads["gps"].replace(b",54.00,87.5", b",55.00,87.5")
    junk = bytes(range(256))
    device.publish("devices/dev-1/gps", broken, samples.properties("gps", sequence=6))
    device.publish("devices/x/obd", junk)
    device.publish("devices/dev-1/colour", b"red", samples.properties("gps", sequence=7))
    device.publish("devices/dev-1/gps", samples.payloads["gps"], samples.properties("gps", device="dev-2", sequence=8))
    device.publish("devices/dev-1/weather", samples.payloads["weather"], [("id", "7")])
    device.publish("devices/dev-1/status", b'{"state":"online"}', retain=True)
    publish_all(9)
    device.publish("devices/dev-3/gps", samples.payloads["gps"])  # Without an envelope.

    real.start_kafka()
    bridge.wait_ready()
    for stream in STREAMS:
        wanted = 3 if stream.name == "gps" else 2
        records = real.kafka.records(stream.kafka_topic, lambda found, wanted=wanted: len(found) >= wanted)
        assert len(records) == wanted
        first = next(record for record in records if headers_of(record)["ce_id"].startswith(samples.boot))
        assert first.key() == b"dev-1"
        headers = headers_of(first)
        is_frame = stream.name == "camera"
        assert header_names(first) == [
            *ENVELOPE_HEADERS, "content-type", "payload_sha256", "bridgetime", *(["reading"] if is_frame else [])
        ]  # fmt: skip
        assert headers["ce_type"] == stream.event_type
        assert headers["ce_source"] == "/devices/dev-1"
        assert headers["content-type"] == ("image/jpeg" if is_frame else "application/json")
        assert headers["payload_sha256"] == hashlib.sha256(samples.payloads[stream.name]).hexdigest()
        assert not is_frame or first.value() == samples.payloads["camera"]
        reading = json.loads(headers["reading"] if is_frame else first.value())
        assert reading["id"] == headers["ce_id"]
        assert reading["timestamp"] == "2026-11-21T08:00:00.000000Z"
    foreign = next(
        record
        for record in real.kafka.records("gps_data", lambda found: len(found) >= 3)
        if headers_of(record)["ce_id"].startswith("foreign-")
    )
    assert foreign.key() == b"dev-3"
    assert header_names(foreign)[:5] == ENVELOPE_HEADERS[:5]
    assert "ce_senttime" not in headers_of(foreign)

    check_dead_letters(samples, real, broken, junk)

    # Receipts: every reading with an identity, the dead letters among them; not the one that names another device.
    expected = {("dev-1", samples.boot, number) for number in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13)}
    real.wait("the receipts", lambda: device.confirmed >= expected, 10)
    assert device.confirmed == expected

    real.wait("the scrape", lambda: bridge.metrics().get("in_flight") == 0, 10)
    counted = bridge.metrics()
    assert counted["received_total"] == 17
    assert (counted["delivered_total"], counted["dead_lettered_total"], counted["ignored_total"]) == (11, 5, 1)
    assert bridge.stop() == 0


def check_dead_letters(samples: Any, real: Any, broken: bytes, junk: bytes) -> None:
    dead = real.kafka.records(DEAD_LETTERS_TOPIC, lambda found: len(found) >= 5)
    by_topic = {(headers_of(record)["mqtt_topic"], headers_of(record)["reason"]): record for record in dead}
    assert sorted(by_topic) == [
        ("devices/dev-1/colour", "topic_unknown"),
        ("devices/dev-1/gps", "checksum_invalid"),
        ("devices/dev-1/gps", "envelope_mismatch"),
        ("devices/dev-1/weather", "envelope_invalid"),
        ("devices/x/obd", "payload_undecodable"),
    ]
    assert by_topic["devices/x/obd", "payload_undecodable"].value() == junk
    assert by_topic["devices/x/obd", "payload_undecodable"].key() == b"x"
    checksum = by_topic["devices/dev-1/gps", "checksum_invalid"]
    assert checksum.value() == broken
    assert header_names(checksum) == [
        "reason", "detail", "mqtt_topic", "properties", "payload_sha256", "bridgetime", *ENVELOPE_HEADERS
    ]  # fmt: skip
    pairs = [tuple(pair) for pair in json.loads(headers_of(checksum)["properties"])]
    assert pairs == list(samples.properties("gps", sequence=6))


def test_killed_in_mid_stream_it_loses_nothing(samples: Any, real: Any, device: Device) -> None:
    """kill -9 while readings flow, then again; a fresh one takes up the session. What was published is in Kafka."""
    real.start_kafka()
    name, published = "dev-kill", 0
    bridge = real.make_bridge()
    bridge.start()
    bridge.wait_ready()
    enough = threading.Event()

    def publish() -> None:
        nonlocal published
        while not enough.wait(0.0005) and published < 50_000:
            published += 1
            properties = samples.properties("emergency", device=name, sequence=published)
            device.publish(f"devices/{name}/emergency", samples.payloads["emergency"], properties)

    publisher = threading.Thread(target=publish)
    publisher.start()
    for delivered_min in (300, 800):
        real.wait("some traffic", lambda least=delivered_min: bridge.metrics().get("delivered_total", 0) >= least, 30)
        bridge.stop(signal.SIGKILL)
        bridge.start()
    real.wait("traffic after the kills", lambda: bridge.metrics().get("delivered_total", 0) >= 300, 30)
    enough.set()
    publisher.join(60)
    assert published < 50_000, "the stream ended before the kills"

    wanted = {f"{samples.boot}.{number}" for number in range(1, published + 1)}

    def ids(found: list[Any]) -> set[str]:
        return {headers_of(record)["ce_id"] for record in found if record.key() == name.encode()}

    records = real.kafka.records("emergency_data", lambda found: len(found) >= published and ids(found) >= wanted)
    assert ids(records) == wanted
    real.wait("all is confirmed", lambda: bridge.metrics().get("in_flight") == 0, 10)
    counted = bridge.metrics()
    handled = counted["delivered_total"] + counted.get("dead_lettered_total", 0) + counted.get("ignored_total", 0)
    assert counted["received_total"] == handled
    assert bridge.stop() == 0


def test_a_raw_route_passes_messages_through_unchanged(samples: Any, real: Any, device: Device) -> None:
    """Killed in mid-stream, too; what is published through the stop is in Kafka, and readings pass beside it."""
    real.start_kafka()
    bridge = real.make_bridge("--route", "plant/+/state=plant_state")
    bridge.start()
    bridge.wait_ready()
    published = [b"", b"{}", bytes(range(256))] + [b"state %d" % number for number in range(3_000)]
    for number, payload in enumerate(published):
        device.publish(f"plant/line-{number % 7}/state", payload, [("colour", "red")])
        if number == 1_000:
            real.wait("some traffic", lambda: bridge.metrics().get("delivered_total", 0) >= 100, 30)
            bridge.stop(signal.SIGKILL)
            bridge.start()
    device.publish("plant/line-1/other", b"not routed")
    device.publish("devices/dev-raw/gps", samples.payloads["gps"], samples.properties("gps", device="dev-raw"))
    wanted = {(f"plant/line-{number % 7}/state".encode(), payload) for number, payload in enumerate(published)}
    records = real.kafka.records("plant_state", lambda found: {(one.key(), one.value()) for one in found} >= wanted)
    assert {(record.key(), record.value()) for record in records} == wanted
    assert all(record.headers() is None for record in records)
    real.wait("the reading's receipt", lambda: ("dev-raw", samples.boot, 1) in device.confirmed, 20)
    real.wait("all is confirmed", lambda: bridge.metrics().get("in_flight") == 0, 10)
    assert bridge.stop() == 0


def test_qos_0_is_taken_and_confirmed_to_the_device(samples: Any, real: Any, device: Device) -> None:
    """Nobody acknowledges QoS 0, so only the receipt says that Kafka has it. Readings of QoS 1 pass in between."""
    real.start_kafka()
    bridge = real.make_bridge()
    bridge.start()
    bridge.wait_ready()
    for number in range(1, 301):
        properties = samples.properties("weather", device="dev-qos", sequence=number)
        device.publish("devices/dev-qos/weather", samples.payloads["weather"], properties, qos=0 if number % 3 else 1)
    expected = {("dev-qos", samples.boot, number) for number in range(1, 301)}
    real.wait("the receipts", lambda: device.confirmed >= expected, 20)
    # What is scraped may be of a moment ago.
    counted = real.wait("the scrape", lambda: (of := bridge.metrics()).get("acknowledged_total") == 100 and of, 10)
    assert (counted["received_total"], counted["delivered_total"], counted["in_flight"]) == (300, 300, 0)
    assert bridge.stop() == 0


def test_mqtt_3_1_1_brings_foreign_readings(samples: Any, real: Any, device: Device) -> None:
    """Killed in mid-stream, its session is kept; envelopes stay behind at the gateway, so no receipt is sent."""
    real.start_kafka()
    bridge = real.make_bridge("--mqtt-version", "3.1.1", "--client-id", "old")
    bridge.start()
    bridge.wait_ready()
    good, bad = json.loads(samples.payloads["weather"]), b"junk"
    for number in range(400):
        payload = json.dumps(good | {"air_quality_index": number}).encode()
        device.publish("devices/dev-old/weather", payload, samples.properties("weather", device="dev-old"))
        if number == 200:
            real.wait("some traffic", lambda: bridge.metrics().get("delivered_total", 0) >= 50, 30)
            bridge.stop(signal.SIGKILL)
    device.publish("devices/dev-old/weather", bad)
    bridge.start()

    def found(records: list[Any]) -> list[Any]:
        return [one for one in records if one.key() == b"dev-old"]

    def indices(records: list[Any]) -> set[int]:
        return {json.loads(one.value())["air_quality_index"] for one in found(records)}

    records = real.kafka.records("weather_data", lambda records: indices(records) >= set(range(400)))
    assert all(headers_of(one)["ce_id"].startswith("foreign-") for one in found(records))
    real.kafka.records(DEAD_LETTERS_TOPIC, lambda records: any(one.value() == bad for one in found(records)))
    real.wait("all is confirmed", lambda: bridge.metrics().get("in_flight") == 0, 10)
    assert device.confirmed == set()
    assert bridge.stop() == 0


def test_the_gateway_comes_late_and_comes_back(samples: Any, real: Any) -> None:
    """Started before the gateway, and still listening after the gateway forgot everything."""
    real.start_kafka()
    bridge = real.make_bridge()
    bridge.start()
    assert "MQTT gateway" in real.wait("a fault", lambda: bridge.get("/readyz")[1])
    for sequence in (1, 2):
        real.mosquitto.start()
        bridge.wait_ready()
        device = Device(real.mosquitto.port)
        properties = samples.properties("weather", device="dev-late", sequence=sequence)
        device.publish("devices/dev-late/weather", samples.payloads["weather"], properties)
        identity = ("dev-late", samples.boot, sequence)
        real.wait("the receipt", lambda device=device, identity=identity: identity in device.confirmed, 20)
        device.close()
        real.mosquitto.stop(signal.SIGKILL)
        real.wait("the fault", lambda: "MQTT gateway" in bridge.get("/readyz")[1], 10)
    assert bridge.stop() == 0


def test_a_second_bridge_takes_over_and_the_first_says_so(real: Any) -> None:
    real.mosquitto.start()
    first, second = real.make_bridge(), real.make_bridge()
    first.start()
    real.wait("the first", lambda: "MQTT" not in first.get("/readyz")[1])
    second.start()
    assert first.process.wait(20) == 1
    assert "taken over the MQTT session 'smartcity-bridge'" in first.log.read_text()
    real.wait("the second", lambda: "MQTT" not in second.get("/readyz")[1])
    assert second.process.poll() is None


def test_a_taken_port_is_named(real: Any) -> None:
    real.mosquitto.start()
    first, second = real.make_bridge(), real.make_bridge()
    first.start()
    status = second.run_to_end(["--http", f"127.0.0.1:{first.http}"])
    assert status == 1
    assert f"127.0.0.1:{first.http} for health and metrics is in use" in second.log.read_text()


def test_a_wrong_flag_is_named(real: Any) -> None:
    bridge = real.make_bridge()
    assert bridge.run_to_end(["--mqtt", "localhost"]) == 2
    assert "--mqtt is 'localhost'; give HOST:PORT" in bridge.log.read_text()
    assert "Traceback" not in bridge.log.read_text()
