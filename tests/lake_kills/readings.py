"""What devices send and the bridge makes of it: readings of all streams, repeated, late, foreign and broken ones."""

from __future__ import annotations

import json
import random
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.bench.messages import make_payload
from tests.bench.wire import publish

from smartcity.bridge.examine import examine
from smartcity.bridge.message import Message, Reception, Record
from smartcity.bridge.publish import parse_publish
from smartcity.bridge.route import Routes
from smartcity.bridge.stamp import read_stamp
from smartcity.contracts.envelope import METADATA_PROPERTY, Envelope, format_time
from smartcity.contracts.mqtt import find_packet
from smartcity.contracts.streams import CAMERA, STREAM_BY_NAME, STREAMS, WEATHER, Stream
from smartcity.contracts.topics import reading_topic

DEVICES = 40
MIX = {"gps": 40, "vehicle": 40, "weather": 10, "emergency": 6, "camera": 4}
FRAME_BYTES = 1_500
KINDS = {
    "new": 74, "late by hours": 4, "late by days": 4, "again at once": 6, "again later": 6,
    "foreign": 2, "broken": 2, "strange": 2,
}  # fmt: skip
"""Of a hundred records. Late ones come for the first time. A foreign reading has no envelope, a broken one is refused
by the bridge, a strange one was never at the bridge and is refused by the lake."""
DAYS_LATE_MAX = 3
REBOOT_SHARE, GAP_SHARE, HOLD_SHARE = 0.002, 0.02, 0.03
"""Of new readings: before how many the device starts anew, skips sequences, or holds one back for a while."""
HELD_MAX = 50
REMEMBERED_MAX = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One publish of a device; sending it again changes `senttime` alone."""

    stream: Stream
    envelope: Envelope
    payload: bytes
    metadata: str

    def record(self, sent_at: datetime) -> Record:
        fields = {
            name: getattr(self.envelope, name) for name in ("boot", "sequence", "device_id", "event_type", "time")
        }
        pairs = Envelope(**fields, sent_time=sent_at).properties()
        return examined(reading_topic(self.envelope.device_id, self.stream), pairs, self.payload, self.metadata)


class Device:
    """Its current boot, and the sequence used last."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name, self._rng = name, rng
        self.restart()

    def restart(self) -> None:
        self.boot, self.sequence = f"{self._rng.getrandbits(64):016x}", 0

    def next_id(self) -> tuple[str, int]:
        """Sequences leave gaps, since a device may drop or be refused what it numbered."""
        if self._rng.random() < REBOOT_SHARE:
            self.restart()
        self.sequence += self._rng.randint(2, 40) if self._rng.random() < GAP_SHARE else 1
        return self.boot, self.sequence


class Source:
    """An endless stream of records, of the kinds and in the shares of KINDS, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._devices = [Device(f"car-{number:02d}", self._rng) for number in range(DEVICES)]
        self._number = 0
        self._held: deque[Reading] = deque()
        self._sent: list[Reading] = []
        self._latest: deque[Reading] = deque(maxlen=200)
        self.kinds: dict[str, int] = dict.fromkeys(KINDS, 0)

    def records(self) -> Iterator[Record]:
        names, shares = list(KINDS), list(KINDS.values())
        while True:
            kind = self._rng.choices(names, shares)[0]
            if kind.startswith("again") and not self._sent:
                continue
            self.kinds[kind] += 1
            yield from self._make(kind)

    def _make(self, kind: str) -> Iterator[Record]:
        now = datetime.now(UTC)
        match kind:
            case "new":
                yield from self._new(now)
            case "late by hours":
                yield self._first(now - timedelta(hours=self._rng.uniform(0.5, 4))).record(now)
            case "late by days":
                yield self._first(now - timedelta(days=self._rng.randint(1, DAYS_LATE_MAX))).record(now)
            case "again at once":
                yield self._rng.choice(self._latest).record(now)
            case "again later":
                yield self._rng.choice(self._sent).record(now)
            case "foreign":
                yield self._foreign(now)
            case "broken":
                yield self._broken(now)
            case "strange":
                yield self._strange(now)

    def _new(self, now: datetime) -> Iterator[Record]:
        reading = self._first(now - timedelta(seconds=self._rng.uniform(0, 3)))
        if self._rng.random() < HOLD_SHARE:
            self._held.append(reading)
        else:
            yield reading.record(now)
        if len(self._held) > HELD_MAX:
            yield self._held.popleft().record(now)

    def _first(self, time: datetime, *, remembered: bool = True) -> Reading:
        """A reading that was never sent. NMEA tells time to the hundredth of a second."""
        self._number += 1
        time = time.replace(microsecond=time.microsecond // 10_000 * 10_000)
        name = self._rng.choices(list(MIX), list(MIX.values()))[0]
        stream, device = STREAM_BY_NAME[name], self._rng.choice(self._devices)
        boot, sequence = device.next_id()
        envelope = Envelope(
            boot=boot, sequence=sequence, device_id=device.name, event_type=stream.event_type, time=time
        )
        payload, metadata = make_payload(name, self._number, time)
        if stream is CAMERA:
            payload = payload[: FRAME_BYTES - 2] + payload[-2:]
        reading = Reading(stream=stream, envelope=envelope, payload=payload, metadata=metadata)
        if remembered:
            self._remember(reading)
        return reading

    def _remember(self, reading: Reading) -> None:
        self._latest.append(reading)
        if len(self._sent) < REMEMBERED_MAX:
            self._sent.append(reading)
        else:
            self._sent[self._rng.randrange(REMEMBERED_MAX)] = reading

    def _foreign(self, now: datetime) -> Record:
        self._number += 1
        payload, metadata = make_payload("weather", self._number, now)
        return examined(reading_topic("stranger", WEATHER), [], payload, metadata)

    def _broken(self, now: datetime) -> Record:
        """Half a payload, or an envelope whose id is none."""
        reading = self._first(now, remembered=False)
        pairs, payload = reading.envelope.properties(), reading.payload
        if self._rng.random() < 0.5:
            payload = payload[: len(payload) // 2] + b"\x00*ZZ"
        else:
            pairs = [(name, "7" if name == "id" else value) for name, value in pairs]
        return examined(reading_topic(reading.envelope.device_id, reading.stream), pairs, payload, reading.metadata)

    def _strange(self, now: datetime) -> Record:
        """Straight into the stream's topic: nothing of a contract, or a time far ahead."""
        self._number += 1
        stream = self._rng.choice([stream for stream in STREAMS if stream is not CAMERA])
        value = json.dumps({"id": f"strange-{self._number}", "timestamp": format_time(now)})
        if self._rng.random() < 0.5:
            value = value[:-5]
        return Record(topic=stream.kafka_topic, key=b"stranger", value=value.encode(), headers={})


_ROUTES = Routes()


def examined(topic: str, pairs: list[tuple[str, str]], payload: bytes, metadata: str) -> Record:
    """The bridge's record of a publish."""
    packet = publish(topic, 1, [*pairs, *([(METADATA_PROPERTY, metadata)] if metadata else [])], payload)
    found = find_packet(packet, 0, len(packet))
    assert found, "a whole packet"
    parsed = parse_publish(packet[0], packet, *found, with_properties=True)
    route = _ROUTES.find(parsed.topic)
    message = Message(
        route=route, payload=parsed.payload, property_bytes=parsed.properties,
        stamp=read_stamp(parsed.properties, route.claimed), qos=1, retain=False, packet_id=1, epoch=1,
        reception=Reception.now(),
    )  # fmt: skip
    return examine(message, lambda: f"foreign-{uuid.uuid4().hex}")
