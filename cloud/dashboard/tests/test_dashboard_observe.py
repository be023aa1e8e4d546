"""What the page reads out of messages, and how the city remembers it. No I/O."""

from __future__ import annotations

import json
from typing import Any

import pynmea2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartcity.contracts.status import Status
from smartcity.contracts.streams import STREAMS
from smartcity.dashboard.bridge import counts_of
from smartcity.dashboard.city import City
from smartcity.dashboard.flow_history import read_samples
from smartcity.dashboard.flow_watch import _counted
from smartcity.dashboard.inbox import Message
from smartcity.dashboard.observe import Presence, Sighting, observe, read_rmc
from smartcity.dashboard.settings import FRAMES_BYTES_MAX, INCIDENTS_MAX

BOOT = "0123456789abcdef"
RMC = b"$GPRMC,081836,A,3751.65,S,14507.36,E,010.0,360.0,130998,011.3,E*63\r\n"


def message(leaf: str, payload: bytes, *, sequence: int = 1, metadata: str = "{}", boot: str = BOOT) -> Message:
    properties = (("id", f"{boot}.{sequence}"), ("time", "2026-11-21T08:00:00.000000Z"), ("metadata", metadata))
    return Message(topic=f"devices/dev-1/{leaf}", payload=payload, properties=properties, retained=False)


def city() -> City:
    return City(lambda: 1000.0)


def applied(*messages: Message) -> City:
    there = city()
    for each in messages:
        seen = observe(each)
        assert seen is not None
        there.apply(seen)
    return there


def test_rmc_is_read_in_degrees_and_kmh() -> None:
    assert read_rmc(b"$GPGGA,junk*00\r\n" + RMC) == {
        "latitude": -37.860833,
        "longitude": 145.122667,
        "speed": 18.5,
        "direction": 360.0,
    }


@settings(deadline=None)  # The machine may be busy with other tests.
@given(
    st.floats(-89.9, 89.9),
    st.floats(-179.9, 179.9),
    st.floats(0, 250),
)
def test_rmc_agrees_with_pynmea2(latitude: float, longitude: float, knots: float) -> None:
    def minutes(value: float, width: int) -> str:
        value = abs(value)
        return f"{int(value):0{width}d}{min(value % 1 * 60, 59.9999):07.4f}"

    fields = ("081836", "A", minutes(latitude, 2), "S" if latitude < 0 else "N", minutes(longitude, 3))
    more = ("W" if longitude < 0 else "E", f"{knots:.2f}", "12.5", "130998", "", "")
    sentence = str(pynmea2.RMC("GN", "RMC", (*fields, *more)))
    parsed = pynmea2.parse(sentence, check=True)
    read = read_rmc(sentence.encode())
    assert read is not None
    assert read["latitude"] == pytest.approx(parsed.latitude, abs=1e-6)
    assert read["longitude"] == pytest.approx(parsed.longitude, abs=1e-6)
    assert read["speed"] == pytest.approx(parsed.spd_over_grnd * 1.852, abs=0.06)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\x00" * 50,
        RMC.replace(b"*63", b"*64"),
        RMC.replace(b",A,", b",A"),
        b"$GPRMC,081836,A,nan,S,14507.36,E,010.0,360.0,130998,011.3,E*00",
    ],
)
def test_what_is_no_rmc_is_unreadable(payload: bytes) -> None:
    assert read_rmc(payload) is None
    there = applied(message("gps", payload))
    assert there.sums()["unreadable"]["gps"] == there.sums()["counts"]["gps"] == 1
    assert there.changes(0)["vehicles"] == {}


@settings(deadline=None)  # The machine may be busy with other tests.
@given(st.binary(max_size=200), st.text(max_size=40), st.sampled_from([s.leaf for s in STREAMS] + ["status", "x"]))
def test_no_payload_breaks_the_page(payload: bytes, metadata: str, leaf: str) -> None:
    seen = observe(message(leaf, payload, metadata=metadata))
    there = city()
    if seen is not None:
        there.apply(seen)
    json.dumps(there.changes(0) | there.sums(), allow_nan=False)


def test_a_vehicle_is_position_and_model_together() -> None:
    there = applied(
        message("gps", RMC, metadata='{"vehicle_type":"van"}'),
        message("obd", b"7E8 03 41 0D 32\r\r>", sequence=2, metadata='{"make":"Ford","secret":1}'),
    )
    vehicle = there.changes(0)["vehicles"]["dev-1"]
    assert vehicle["speed"] == 18.5
    assert (vehicle["vehicle_type"], vehicle["make"]) == ("van", "Ford")
    assert "secret" not in vehicle


def test_a_reading_sent_again_counts_but_does_not_move_the_vehicle_back() -> None:
    def weather(sequence: int, temperature: float, boot: str = BOOT) -> Message:
        return message("weather", json.dumps({"temperature": temperature}).encode(), sequence=sequence, boot=boot)

    there = applied(weather(1, 1.0), weather(2, 2.0), weather(1, 1.0))
    assert there.changes(0)["weather"]["dev-1"]["temperature"] == 2.0
    assert there.sums()["counts"]["weather"] == 3
    # A new boot starts at 1 again, and is news.
    seen = observe(weather(1, 3.0, boot="f" * 16))
    assert seen is not None
    there.apply(seen)
    assert there.changes(0)["weather"]["dev-1"]["temperature"] == 3.0


def test_pages_get_what_changed() -> None:
    there = applied(message("weather", b'{"temperature": 1}'))
    first = there.changes(0)
    assert first["full"]
    assert set(first["weather"]) == {"dev-1"}
    assert "weather" not in there.changes(first["version"])
    assert not there.changes(first["version"])["full"]


def test_pages_get_no_more_of_a_vehicle_than_what_changed() -> None:
    there = applied(message("gps", RMC, metadata='{"vehicle_type":"van"}'), message("weather", b'{"temperature": 1}'))
    version = there.changes(0)["version"]
    seen = observe(message("gps", RMC.replace(b"3751.65", b"3751.66").replace(b"*63", b"*60"), sequence=2))
    assert seen is not None
    there.apply(seen)
    changed = there.changes(version)
    assert set(changed) == {"vehicles", "full", "version", "now"}
    assert changed["vehicles"] == {"dev-1": {"latitude": -37.861}}


def test_a_vehicle_without_a_fix_stays_where_it_was_last_seen() -> None:
    void = b"$GPRMC,081836,V,,,,,,,130998,,,N*5D\r\n"
    there = applied(message("gps", RMC), message("gps", void, sequence=2))
    vehicle = there.changes(0)["vehicles"]["dev-1"]
    assert vehicle["latitude"] == -37.860833
    assert vehicle["fix"] is False


def test_a_vehicle_shows_its_state_whatever_came_first() -> None:
    gone = Presence(device_id="dev-1", status=Status(state="offline", boot=BOOT, sequence=9))
    there = applied(message("gps", RMC))
    there.apply(gone)
    assert there.changes(0)["vehicles"]["dev-1"]["state"] == "offline"
    other = city()
    other.apply(gone)
    seen = observe(message("gps", RMC))
    assert seen is not None
    other.apply(seen)
    assert other.changes(0)["vehicles"]["dev-1"]["state"] == "offline"


def test_the_time_of_sending_goes_to_the_page_in_milliseconds() -> None:
    there = city()
    for sent in ("2026-11-21T08:00:00.250000Z", "yesterday", "2026-11-21T08:00:00"):
        properties = (("senttime", sent),)
        seen = observe(Message(topic=f"devices/at-{len(sent)}/gps", payload=RMC, properties=properties, retained=False))
        assert seen is not None
        there.apply(seen)
    vehicles = there.changes(0)["vehicles"]
    assert vehicles["at-27"]["sent"] == 1795248000250
    assert "sent" not in vehicles["at-9"]
    assert "sent" not in vehicles["at-19"]


def test_incidents_are_one_whatever_their_steps_and_limited() -> None:
    def step(number: int, status: str) -> Message:
        document = {"incident_id": f"i{number}", "type": "fire", "status": status, "severity": 2}
        return message("emergency", json.dumps(document).encode(), sequence=len(status) * 1000 + number)

    there = applied(step(1, "reported"), step(1, "responding"))
    incident = there.changes(0)["incidents"]["i1"]
    assert incident["status"] == "responding"
    many = applied(*(step(number, "reported") for number in range(INCIDENTS_MAX + 5)))
    assert len(many.changes(0)["incidents"]) == INCIDENTS_MAX
    assert "i0" not in many.changes(0)["incidents"]


def test_frames_are_jpegs_and_bounded() -> None:
    jpeg = b"\xff\xd8\xff" + b"x" * 100
    there = applied(message("frame", jpeg, metadata='{"vehicle_count": 3}'))
    assert there.frame("dev-1") == jpeg
    assert there.changes(0)["cameras"]["dev-1"]["vehicle_count"] == 3
    there = applied(message("frame", b"GIF89a"))
    assert there.frame("dev-1") is None
    there = city()
    large = b"\xff\xd8\xff" + bytes(FRAMES_BYTES_MAX // 2)
    for number in range(3):
        each = Message(topic=f"devices/cam-{number}/frame", payload=large, properties=(), retained=False)
        seen = observe(each)
        assert seen is not None
        there.apply(seen)
    assert there.frame("cam-0") is None
    assert there.frame("cam-2") == large


def test_presence_is_counted() -> None:
    there = city()
    there.apply(Presence(device_id="a", status=Status(state="online", boot=BOOT, sequence=9, pending=4)))
    there.apply(Presence(device_id="b", status=Status(state="offline", boot=BOOT, sequence=1)))
    assert there.sums()["devices"] == {"online": 1, "offline": 1, "pending": 4, "refused": 0, "dropped": 0}


@pytest.mark.parametrize("topic", ["receipts/dev-1", "devices/dev-1", "devices/DEV/gps", "devices/dev-1/other"])
def test_other_topics_are_not_seen(topic: str) -> None:
    assert observe(Message(topic=topic, payload=RMC, properties=(), retained=False)) is None


def test_a_retained_reading_is_the_past() -> None:
    assert observe(Message(topic="devices/dev-1/gps", payload=RMC, properties=(), retained=True)) is None


def test_a_foreign_message_has_no_boot() -> None:
    seen = observe(Message(topic="devices/dev-1/gps", payload=RMC, properties=(), retained=False))
    assert isinstance(seen, Sighting)
    assert seen.boot is None
    assert seen.shown is not None


def test_long_texts_are_cut() -> None:
    document: dict[str, Any] = {"location": "x" * 10_000, "temperature": True, "condition": ["rain"]}
    shown = applied(message("weather", json.dumps(document).encode())).changes(0)["weather"]["dev-1"]
    assert len(shown["location"]) == 200
    assert "temperature" not in shown
    assert "condition" not in shown


def test_bridge_counts_are_sums_over_streams() -> None:
    samples = read_samples(
        "# HELP smartcity_bridge_received_total Messages\n"
        'smartcity_bridge_received_total{stream="gps"} 7.0\n'
        'smartcity_bridge_received_total{stream="camera"} 2.0\n'
        'smartcity_bridge_received_created{stream="gps"} 1.7e+09\n'
        'smartcity_bridge_delivered_total{stream="gps"} 5.0\n'
        'smartcity_bridge_dead_lettered_total{reason="too_large",stream="gps"} 1.0\n'
        'smartcity_bridge_in_flight{stream="gps"} 3.0\n'
        "python_info 1.0\n"
    )
    counts = counts_of(samples)
    assert (counts.received, counts.delivered, counts.dead_lettered, counts.in_flight) == (9, 5, 1, 3)
    assert counts.trouble is None


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
def test_bridge_counts_that_are_not_finite_are_its_trouble(value: str) -> None:
    counts = _counted(read_samples(f"smartcity_bridge_received_total {value}\n"), "http://127.0.0.1:8081")
    assert counts.received == 0
    assert counts.trouble is not None
    assert "http://127.0.0.1:8081" in counts.trouble
