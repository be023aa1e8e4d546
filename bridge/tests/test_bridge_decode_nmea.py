"""NMEA bursts to fields."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartcity.bridge.decode.nmea import SENTENCES_MAX, decode_nmea, parsed_sentences, usual_sentences
from smartcity.bridge.errors import Reject
from smartcity.contracts.reasons import Reason


def refused(payload: bytes) -> Reject:
    with pytest.raises(Reject) as caught:
        decode_nmea(payload)
    return caught.value


def burst(samples: Any, *bodies: str) -> bytes:
    return "".join(samples.sentence(body) for body in bodies).encode()


RMC = "GPRMC,080000.00,A,4327.8960,N,08031.2340,W,54.00,87.5,211126,,,A"
GGA = "GPGGA,080000.00,4327.8960,N,08031.2340,W,1,09,0.9,329.0,M,-35.0,M,,"


def test_a_burst_is_decoded(samples: Any) -> None:
    assert decode_nmea(samples.payloads["gps"]) == {
        "latitude": 43 + 27.8960 / 60,
        "longitude": -(80 + 31.2340 / 60),
        "altitude": 329.0,
        "speed": 54.0 * 1.852,
        "direction": 87.5,
        "fix_quality": 1,
        "satellites": 9,
        "hdop": 0.9,
        "timestamp": datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC),
    }


def test_the_usual_form_needs_no_pynmea2(samples: Any) -> None:
    sentences = usual_sentences(samples.payloads["gps"])
    assert sentences is not None
    assert sentences == parsed_sentences(samples.payloads["gps"])
    assert [kind for kind, _ in sentences] == ["RMC", "GGA", "GSA", "VTG"]


@given(st.data())
def test_the_usual_form_reads_as_pynmea2_does(samples: Any, data: st.DataObject) -> None:
    """Whatever is changed, doubled or left out, with the checksums right or wrong."""
    kinds = st.sampled_from(["GPRMC", "GPGGA", "GNGSA", "GLGSV", "GPGLL", "GPVTG", "GPZZZ", "GPZDA", "PGRME", "GPGPQ"])
    fields = st.text(st.sampled_from("0123456789.-ANEWabf*,$ Q\u00e9"), max_size=130)
    bodies = data.draw(st.lists(st.builds("{},{}".format, kinds, fields) | st.sampled_from([RMC, GGA]), max_size=5))
    payload = bytearray("".join(samples.sentence(body) for body in bodies).encode())
    for _ in range(data.draw(st.integers(0, 2)) if payload else 0):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    usual = usual_sentences(bytes(payload))
    if usual is not None:
        assert usual == parsed_sentences(bytes(payload))


@pytest.mark.parametrize(("at", "byte"), [(5, b"X"), (20, b"9"), (-3, b"0"), (-1, b" "), (0, b"!")])
def test_what_is_unusual_or_wrong_is_left_to_pynmea2(samples: Any, at: int, byte: bytes) -> None:
    payload = bytearray(samples.payloads["gps"])
    payload[at : len(payload) + at + 1 if at < 0 else at + 1] = byte
    assert usual_sentences(bytes(payload)) is None


def test_without_a_fix_the_position_is_absent(samples: Any) -> None:
    for rmc, gga in (
        ("GPRMC,080000.00,V,,,,,,,211126,,,N", "GPGGA,080000.00,,,,,0,00,99.9,,M,,M,,"),
        (RMC, GGA.replace(",W,1,", ",W,0,")),
        (RMC.replace(",A,43", ",V,43"), GGA),
    ):
        fields = decode_nmea(burst(samples, rmc, gga))
        assert not fields.keys() & {"latitude", "longitude", "altitude", "speed", "direction"}
        assert "fix_quality" in fields


def test_standing_has_no_direction(samples: Any) -> None:
    assert decode_nmea(burst(samples, RMC.replace(",87.5,", ",,"), GGA))["direction"] is None


def test_other_talkers_and_unknown_sentences_are_welcome(samples: Any) -> None:
    payload = burst(samples, RMC.replace("GPRMC", "GNRMC"), GGA.replace("GPGGA", "GNGGA"), "GNXYZ,1,2", "PUBX,00,1")
    assert decode_nmea(payload)["fix_quality"] == 1


@pytest.mark.parametrize("line", [0, 1, 2, 3])
def test_a_changed_character_in_any_sentence_is_found(samples: Any, line: int) -> None:
    lines = samples.payloads["gps"].split(b"\r\n")
    lines[line] = lines[line].replace(b"5", b"6", 1) if b"5" in lines[line] else lines[line].replace(b"0", b"1", 1)
    assert refused(b"\r\n".join(lines)).reason is Reason.CHECKSUM_INVALID


def test_a_missing_checksum_is_refused(samples: Any) -> None:
    assert refused(burst(samples, RMC) + f"${GGA}\r\n".encode()).reason is Reason.CHECKSUM_INVALID


@pytest.mark.parametrize("payload", [b"", b"\r\n", b"hello", b"\xff\xd8\xff", b"GPRMC,1*00\r\n", b"$\r\n"])
def test_what_is_not_nmea_is_undecodable(payload: bytes) -> None:
    assert refused(payload).reason is Reason.PAYLOAD_UNDECODABLE


def test_too_many_sentences_are_refused(samples: Any) -> None:
    assert refused(burst(samples, *[GGA] * (SENTENCES_MAX + 1))).reason is Reason.PAYLOAD_UNDECODABLE


@pytest.mark.parametrize(
    "bodies",
    [
        (RMC,),
        (GGA,),
        (RMC, RMC, GGA),
        (RMC, "GPGGA,080000.00"),
        (RMC.replace("54.00", "fast"), GGA),
        (RMC.replace("54.00", "nan"), GGA),
        (RMC.replace("211126", "321326"), GGA),
        (RMC, GGA.replace(",N,", ",X,")),
        (RMC, GGA.replace(",N,", ",,")),
        (RMC, GGA.replace("4327.8960", "4361.0000")),
        (RMC, GGA.replace("08031.2340", "8031.2340")),
        (RMC, GGA.replace(",1,09,", ",one,09,")),
    ],
)
def test_a_field_of_another_form_violates_the_contract(samples: Any, bodies: tuple[str, ...]) -> None:
    assert refused(burst(samples, *bodies)).reason is Reason.CONTRACT_VIOLATION


def test_an_unknown_time_is_none(samples: Any) -> None:
    assert decode_nmea(burst(samples, RMC.replace("211126", ""), GGA))["timestamp"] is None


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused(payload: bytes) -> None:
    with contextlib.suppress(Reject):
        decode_nmea(payload)


@given(st.data())
def test_any_damage_to_a_burst_is_refused_or_harmless(samples: Any, data: st.DataObject) -> None:
    """One byte replaced: an XOR checksum finds every such change outside of line ends, case of digits and `$`."""
    payload = bytearray(samples.payloads["gps"])
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] = data.draw(st.integers(0, 255))
    try:
        fields = decode_nmea(bytes(payload))
    except Reject:
        return
    assert fields == decode_nmea(samples.payloads["gps"])
