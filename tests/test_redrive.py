"""Dead letters sent back through the real gateway, bridge, Kafka and lake, once and once more.

The letters are put into Kafka as a bridge with a defect would have: their bytes are good, so today's bridge takes them.
One is broken and stays refused. The lake's own is a record whose Kafka timestamp lies years before its event time.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime
from functools import reduce
from operator import xor

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from smartcity.bridge.record import encode_reading
from smartcity.contracts.envelope import Envelope, format_time
from smartcity.contracts.streams import GPS, WEATHER, Gps
from smartcity.contracts.tables import DEAD_LETTERS_TABLE
from smartcity.contracts.topics import DEAD_LETTERS_TOPIC, reading_topic
from smartcity.local.environment import child_environment
from smartcity.local.services.service import console_script
from smartcity.local.stack import Stack
from smartcity.local.verify.lake import Lake, LakeAccess

from .conftest import wait_for

pytestmark = [pytest.mark.end_to_end, pytest.mark.broker, pytest.mark.spark, pytest.mark.timeout(600)]

DEVICE = "sent-back"
BOOT = secrets.token_hex(8)
TIME = datetime(2026, 3, 2, 12, tzinfo=UTC)
LONG_AGO_MS = 1_577_836_800_000
ARRIVAL_TIMEOUT_S = 120
FOREIGN_WEATHER = json.dumps(
    {
        "location": "Milton", "latitude": 43.5183, "longitude": -79.8774, "temperature": -3.7, "condition": "snow",
        "precipitation": 1.3, "wind_speed": 27, "wind_direction": 300.0, "humidity": 91.5, "pressure": 1003.2,
        "visibility": 2400.0, "air_quality_index": 31,
    }
).encode()  # fmt: skip


def sentence(body: bytes) -> bytes:
    return b"$%b*%02X\r\n" % (body, reduce(xor, body))


GOOD_NMEA = sentence(b"GPRMC,120000.00,A,4327.8960,N,08031.2340,W,54.00,87.5,020326,,,A") + sentence(
    b"GPGGA,120000.00,4327.8960,N,08031.2340,W,1,09,0.9,329.0,M,-35.0,M,,"
)
BROKEN_NMEA = GOOD_NMEA.replace(b",54.00,", b",55.00,")


def envelope(sequence: int) -> list[tuple[str, str]]:
    return Envelope(
        boot=BOOT, sequence=sequence, device_id=DEVICE, event_type=GPS.event_type, time=TIME, sent_time=TIME
    ).properties()


class Kafka:
    """Puts records into the stack's Kafka."""

    def __init__(self, stack: Stack) -> None:
        self._producer = Producer({"bootstrap.servers": stack.addresses().kafka, "acks": "all"})
        self._admin = AdminClient({"bootstrap.servers": stack.addresses().kafka})

    def keep_all(self, topic: str) -> None:
        """Kafka drops what is too old, every five minutes: a record of long ago must not go before the lake has it."""
        entry = ConfigEntry("retention.ms", "-1", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource("topic", topic, incremental_configs=[entry])
        for done in self._admin.incremental_alter_configs([resource]).values():
            done.result(30)

    def letter(self, topic: str, payload: bytes, properties: list[tuple[str, str]]) -> None:
        """As the bridge keeps what it refuses."""
        attributes = [("ce_id", dict(properties)["id"])] if properties else []
        headers = {
            "reason": "checksum_invalid", "detail": "a defect", "mqtt_topic": topic,
            "properties": json.dumps(properties), "payload_sha256": hashlib.sha256(payload).hexdigest(),
            "bridgetime": format_time(datetime.now(UTC)),
        }  # fmt: skip
        self.put(DEAD_LETTERS_TOPIC, payload, [*headers.items(), *attributes], timestamp=int(time.time() * 1000))

    def put(self, topic: str, value: bytes, headers: list[tuple[str, str]], *, timestamp: int) -> None:
        self._producer.produce(topic, value, DEVICE.encode(), headers=list(headers), timestamp=timestamp)
        assert self._producer.flush(30) == 0


def redrive(stack: Stack, *flags: str) -> dict[str, int]:
    """What `deadletters redrive` counted, without the zeros."""
    addresses = stack.addresses()
    command = [console_script("smartcity-lake"), "deadletters", "redrive", "--device", DEVICE, "--json", *flags]
    command += ["--mqtt", addresses.mqtt, "--kafka", addresses.kafka]
    done = subprocess.run(
        command, env=child_environment(stack.environment()), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return {name: number for name, number in json.loads(done.stdout).items() if number}


def ids(lake: Lake, table: str) -> Counter[str]:
    found = lake.ids(table, None).to_pylist()
    return Counter(str(row["id"]) for row in found if row["device_id"] == DEVICE)


def test_letters_sent_back_twice_are_in_the_lake_once(stack: Stack) -> None:
    lake, kafka = Lake(LakeAccess.from_environment(stack.environment())), Kafka(stack)
    gps_topic = reading_topic(DEVICE, GPS)
    kafka.letter(gps_topic, GOOD_NMEA, envelope(1))
    kafka.letter(gps_topic, BROKEN_NMEA, envelope(2))
    kafka.letter(reading_topic(DEVICE, WEATHER), FOREIGN_WEATHER, [])
    reading = Gps(
        id=f"{BOOT}.3", device_id=DEVICE, timestamp=TIME, latitude=43.4643, longitude=-80.5204, speed=50.5,
        fix_quality=1, satellites=9,
    )  # fmt: skip
    kafka.keep_all(GPS.kafka_topic)
    kafka.put(GPS.kafka_topic, encode_reading(reading), [("ce_id", reading.id)], timestamp=LONG_AGO_MS)
    wait_for(lambda: ids(lake, DEAD_LETTERS_TABLE).total() == 4, ARRIVAL_TIMEOUT_S, "four dead letters")
    assert ids(lake, GPS.table) == ids(lake, WEATHER.table) == {}

    assert redrive(stack) == {"sent": 4}
    wait_for(lambda: ids(lake, GPS.table) == {f"{BOOT}.1": 1, f"{BOOT}.3": 1}, ARRIVAL_TIMEOUT_S, "both good readings")
    wait_for(lambda: ids(lake, WEATHER.table).total() == 1, ARRIVAL_TIMEOUT_S, "the one without an id")
    wait_for(
        lambda: ids(lake, DEAD_LETTERS_TABLE)[f"{BOOT}.2"] == 2, ARRIVAL_TIMEOUT_S, "the broken one, refused again"
    )

    assert redrive(stack) == {"already": 4, "repeated": 1}
    assert redrive(stack, "--again", "--stream", "gps") == {"sent": 3, "repeated": 1}
    # Behind all of them in every topic: when this one is there, they have been looked at.
    kafka.letter(gps_topic, GOOD_NMEA, envelope(4))
    wait_for(lambda: ids(lake, DEAD_LETTERS_TABLE)[f"{BOOT}.4"] == 1, ARRIVAL_TIMEOUT_S, "the last letter")
    assert redrive(stack)["sent"] == 1
    wait_for(lambda: ids(lake, GPS.table)[f"{BOOT}.4"] == 1, ARRIVAL_TIMEOUT_S, "the last reading")
    assert ids(lake, GPS.table) == {f"{BOOT}.1": 1, f"{BOOT}.3": 1, f"{BOOT}.4": 1}
    assert ids(lake, WEATHER.table).total() == 1
    assert ids(lake, DEAD_LETTERS_TABLE)[f"{BOOT}.2"] == 3
