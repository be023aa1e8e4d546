"""What is sent, when, and how it is changed: the pure parts of a replay."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pynmea2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartcity.contracts import mqtt
from smartcity.contracts.envelope import Envelope, format_time, read_envelope
from smartcity.edge.capture import detect, info
from smartcity.edge.capture.choose import Choice, Remap, matches
from smartcity.edge.capture.detect import ReadOptions
from smartcity.edge.capture.errors import CaptureError
from smartcity.edge.capture.formats.nmea import checksum
from smartcity.edge.capture.message import Findings, Message
from smartcity.edge.capture.pace import Pace, PacingError
from smartcity.edge.capture.restamp import Restamp, move_nmea
from smartcity.edge.capture.span import Moment, Span
from smartcity.edge.capture.window import Window

NOW_NS = 1_800_000_000_250_000_000
BOOT = "0123456789abcdef"
EPOCH = datetime(2026, 3, 2, 23, 59, 58, tzinfo=UTC)


def sentence(body: str) -> bytes:
    return f"${body}*{checksum(body.encode()):02X}".encode()


BURST = b"\r\n".join(
    (
        sentence("GPRMC,235959.50,A,5130.0,N,00007.5,W,022.4,084.4,020326,003.1,W"),
        sentence("GPGGA,235959.50,5130.0,N,00007.5,W,1,08,0.9,545.4,M,46.9,M,,"),
        sentence("GPGLL,5130.0,N,00007.5,W,235959.50,A"),
        sentence("GPGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1"),
        b"",
    )
)


def reading(i: int, *, device: str = "veh-001", payload: bytes = b"x", lag_s: float = 0.0) -> Message:
    time = datetime.fromtimestamp(EPOCH.timestamp() + i, UTC)
    envelope = Envelope(
        boot=BOOT, sequence=i + 1, device_id=device, event_type="t", time=time, sent_time=time
    )  # fmt: skip
    properties = b"".join(mqtt.user_property(*pair) for pair in envelope.properties())
    received = int((EPOCH.timestamp() + i - lag_s) * 1e9)
    return Message(received, f"devices/{device}/gps", 1, False, properties + b"\x03\0\x01t", payload)


@pytest.mark.parametrize("topic", ["devices/+/gps", "devices/#", "a\0b", "", "é" * 32_768])
def test_what_is_no_topic_is_left_out_and_named(topic: str) -> None:
    choice = Choice()
    assert choice.target(topic) is None
    assert dict(choice.left_out) == {"with a topic that nobody may publish on": 1}
    assert choice.target("é" * 32_767) is not None


def envelope_of(message: Message) -> Envelope:
    found = read_envelope(mqtt.user_properties(message.properties))
    assert found is not None
    return found


@given(times=st.lists(st.integers(0, 10**15), min_size=1), speed=st.sampled_from([0.5, 1.0, 10.0, 64.0]))
def test_due_times_are_counted_from_one_anchor(times: list[int], speed: float) -> None:
    pace = Pace(speed=speed, first_ns=times[0], anchor_ns=NOW_NS)
    for time in times:
        assert abs(pace.due_ns(time) - NOW_NS - Fraction(time - times[0]) / Fraction(speed)) <= 1


def test_a_pause_moves_everything_behind_it() -> None:
    pace = Pace(speed=1, first_ns=0, anchor_ns=1_000)
    pace.pause(5_000)
    assert pace.paused
    pace.resume(7_500)
    assert (pace.paused, pace.due_ns(10)) == (False, 3_510)


@given(errors=st.lists(st.integers(-(10**10), 10**10), min_size=1, max_size=300))
def test_percentiles_are_right_to_three_percent(errors: list[int]) -> None:
    found = PacingError()
    for error in errors:
        found.add(error)
    sizes = sorted(abs(error) for error in errors)
    for percent in (50, 99):
        exact = sizes[max(0, -(-len(sizes) * percent // 100) - 1)]
        assert exact <= found.percentile_ns(percent) <= exact * 1.04
    assert found.max_ns == sizes[-1]


@pytest.mark.parametrize(
    ("name", "topic", "wanted"),
    [
        ("#", "a/b", True), ("#", "$SYS/x", False), ("a/#", "a", True), ("a/+/c", "a/b/c", True),
        ("a/+", "a/b/c", False), ("+", "a", True), ("a/b", "a/b", True), ("a/b/c", "a/b", False),
    ],
)  # fmt: skip
def test_filters_match_as_mqtt_says(name: str, topic: str, wanted: bool) -> None:
    assert matches(name, topic) is wanted


def test_receipts_and_status_are_never_replayed_not_even_under_another_name() -> None:
    choice = Choice(remaps=[Remap.parse("archive/=devices/"), Remap.parse("veh-001=veh-901")])
    for topic in ("receipts/veh-001", "devices/veh-001/status", "archive/veh-001/status", "$SYS/broker/uptime"):
        assert choice.target(topic) is None
    assert sum(choice.left_out.values()) == 4
    target = choice.target("devices/veh-001/gps")
    assert target is not None
    assert (target.topic, target.renamed) == ("devices/veh-901/gps", ("veh-001", "veh-901"))


@pytest.mark.parametrize("text", ["a", "=a", "a=", "a/#=b", "a=+"])
def test_a_remap_that_makes_no_topic_is_refused(text: str) -> None:
    with pytest.raises(CaptureError, match="OLD=NEW"):
        Remap.parse(text)


def test_a_renamed_device_is_renamed_in_its_envelope_and_document_alone() -> None:
    made = reading(0, payload=b'{"speed":1.0,"device_id": "veh-001"}')
    found = Restamp(times=False, boots=False).apply(made, NOW_NS, ("veh-001", "veh-901"))
    assert envelope_of(found).device_id == "veh-901"
    assert envelope_of(found).id == f"{BOOT}.1"
    assert found.payload == b'{"speed":1.0,"device_id": "veh-901"}'
    assert found.properties.endswith(b"\x03\0\x01t")


def test_restamp_moves_envelope_and_sentences_alike_and_keeps_the_second() -> None:
    restamp = Restamp(times=True, boots=True)
    spaced = []
    for i in range(3):
        made = reading(i, payload=move_nmea(BURST, i - 1))
        due = NOW_NS + made.time_ns - reading(0).time_ns
        found = restamp.apply(made, due, None)
        envelope = envelope_of(found)
        assert 0 <= due / 1e9 - envelope.time.timestamp() < 1.001
        assert envelope.sent_time is not None
        assert abs(envelope.sent_time.timestamp() - due / 1e9) < 1e-5
        rmc, gga, gll, gsa, _ = found.payload.split(b"\r\n")
        parsed = pynmea2.parse(rmc.decode(), check=True)
        # The sentences were half a second ahead of the envelope, and still are.
        assert datetime.combine(parsed.datestamp, parsed.timestamp).timestamp() == envelope.time.timestamp() + 0.5
        for other in (gga, gll):
            assert pynmea2.parse(other.decode(), check=True).timestamp == parsed.timestamp
        assert gsa == BURST.split(b"\r\n")[3]
        spaced.append(envelope.time.timestamp())
    assert spaced == [spaced[0], spaced[0] + 1, spaced[0] + 2]


def test_restamp_never_reaches_into_the_future() -> None:
    restamp = Restamp(times=True, boots=False)
    restamp.apply(reading(0, lag_s=-3_600), NOW_NS, None)  # It had waited in an outbox for an hour.
    assert envelope_of(restamp.apply(reading(1), NOW_NS, None)).time.timestamp() <= NOW_NS / 1e9


def test_a_new_boot_per_device_and_pass_and_the_original_id_stays() -> None:
    boots = iter(["1111111111111111", "2222222222222222", "3333333333333333"])
    restamp = Restamp(times=False, boots=True, mint=lambda: next(boots))
    found = [restamp.apply(reading(i, device=f"veh-{i % 2}"), NOW_NS, None) for i in range(4)]
    assert [envelope_of(message).id for message in found] == [
        "1111111111111111.1", "2222222222222222.2", "1111111111111111.3", "2222222222222222.4",
    ]  # fmt: skip
    again = Restamp(times=False, boots=True, mint=lambda: next(boots)).apply(found[0], NOW_NS, None)
    assert envelope_of(again).id == "3333333333333333.1"
    assert dict(mqtt.user_properties(again.properties))["originalid"] == f"{BOOT}.1"


def test_minted_boots_differ_each_time() -> None:
    minted = {envelope_of(Restamp(times=False, boots=True).apply(reading(0), NOW_NS, None)).boot for _ in range(100)}
    assert len(minted) == 100
    assert BOOT not in minted


def test_a_document_without_envelope_is_moved_by_its_timestamp() -> None:
    made = reading(0)._replace(properties=b"", payload=b'{"timestamp":"2026-03-02T23:59:58.500000Z","t":1}')
    found = Restamp(times=True, boots=True).apply(made, NOW_NS, None)
    assert found.payload == b'{"timestamp":"2027-01-15T07:59:59.500000Z","t":1}'
    assert found.properties == b""


@pytest.mark.parametrize(
    "payload", [b"", b"\xff\xd8jpeg $GPRMC,1*00", b"41 0C 1A F8 \r\r>", b'{"timestamp": 5}', b"$x"]
)
def test_what_has_no_time_is_not_touched(payload: bytes) -> None:
    assert Restamp(times=True, boots=True).apply(reading(0, payload=payload), NOW_NS, None).payload == payload


def test_a_sentence_with_a_wrong_checksum_stays_wrong() -> None:
    wrong = BURST.replace(b"A,5130.0", b"A,5131.0")
    assert move_nmea(wrong, 5).split(b"\r\n")[0] == wrong.split(b"\r\n")[0]


def test_spans_by_clock_and_from_the_first_message() -> None:
    made = [reading(i) for i in range(10)]
    for begin, end in (("2s", "4"), (format_time(envelope_of(made[2]).time), format_time(envelope_of(made[4]).time))):
        span = Span(begin=Moment.parse(begin), end=Moment.parse(end))
        assert list(span.select(iter(made))) == made[2:5]
    assert Moment.parse("1h1m1.5s").ns == 3_661_500_000_000
    with pytest.raises(CaptureError, match="no time"):
        Moment.parse("soon")


def test_a_window_confirms_refuses_and_keeps_the_rest_in_order() -> None:
    window = Window()
    window.connected(3)
    ids = []
    for _ in range(3):
        ids.append(window.take_id())
        window.add(ids[-1], b"data %d" % ids[-1])
    assert ids == [1, 2, 3]
    assert window.full
    window.hear(0x40, b"\0\x01", 0, 2)
    window.hear(0x40, b"\0\x03\x87", 0, 3)
    window.hear(0x40, b"\0\x01", 0, 2)  # Once more: it means nothing now.
    assert (list(window), window.confirmed, dict(window.refused)) == ([b"data 2"], 1, {0x87: 1})
    assert not window.full


def test_qos_2_is_confirmed_by_pubcomp_alone() -> None:
    window = Window()
    window.add(7, b"data")
    window.hear(0x50, b"\0\x07", 0, 2)
    assert list(window.answers) == [b"\x62\x02\0\x07"]
    assert len(window) == 1
    window.hear(0x70, b"\0\x07", 0, 2)
    assert (len(window), window.confirmed) == (0, 1)


def test_an_nmea_log_with_garbage_becomes_one_message_per_second(tmp_path: Path) -> None:
    broken = BURST.replace(b"A,5130.0", b"A,5131.0").split(b"\r\n")[0]
    log = BURST + b"\xb5b\x01\x07$\x00\xff" + move_nmea(BURST, 1) + broken + b"\r\n# gpsd\r\n" + move_nmea(BURST, 2)
    (tmp_path / "x").write_bytes(log + b"$GPRMC,12")
    findings = Findings()
    found = list(detect.read(tmp_path / "x", findings, ReadOptions(device="tram-1")))
    assert [message.payload for message in found] == [BURST, move_nmea(BURST, 1), move_nmea(BURST, 2)]
    assert {message.topic for message in found} == {"devices/tram-1/gps"}
    times = [message.time_ns for message in found]
    assert times == [times[0], times[0] + 10**9, times[0] + 2 * 10**9]
    assert datetime.fromtimestamp(times[1] / 1e9, UTC) == datetime(2026, 3, 3, 0, 0, 0, 500_000, tzinfo=UTC)
    assert [damage.position for damage in findings.damages] == [f"byte {log.index(broken)}", f"byte {len(log)}"]
    assert findings.skipped["bytes between sentences"] == 7 + 6


def test_info_counts_topics_bytes_span_and_rate() -> None:
    made = [reading(i, payload=b"12345") for i in (0, 2, 1, 4)]
    document = info.summarise(iter(made)).document("mcap", Findings())
    assert (document["messages"], document["payload_bytes"], document["seconds"]) == (4, 20, 4.0)
    assert (document["messages_per_s"], document["out_of_order"]) == (1.0, 1)
    assert document["topics"]["devices/veh-001/gps"] == {"messages": 4, "payload_bytes": 20, "messages_per_s": 1.0}
    assert info.summarise(iter(())).document("csv", Findings())["first"] is None
