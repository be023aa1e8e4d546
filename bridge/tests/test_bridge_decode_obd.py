"""ELM327 text to fields."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartcity.bridge.decode.obd import decode_obd
from smartcity.bridge.errors import Reject
from smartcity.contracts.reasons import Reason


def refused(payload: bytes) -> Reject:
    with pytest.raises(Reject) as caught:
        decode_obd(payload)
    return caught.value


def test_a_poll_is_decoded(samples: Any) -> None:
    assert decode_obd(samples.payloads["vehicle"]) == {
        "rpm": 1726.0,
        "speed": 100.0,
        "coolant_temperature": 83.0,
        "engine_load": 100.0 * 128 / 255.0,
        "throttle_position": 20.0,
        "fuel_level": 100.0 * 191 / 255.0,
        "intake_temperature": 20.0,
        "maf": 10.0,
        "run_time": 300.0,
        "trouble_codes": ("P0171",),
    }


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        (b"41 0C 1A F8 \r\r>41 0D 64\r\r>43 00\r\r>", {"rpm": 1726.0, "speed": 100.0, "trouble_codes": ()}),
        (b"410C1AF8\r\r>", {"rpm": 1726.0}),
        (b"7E804410C1AF8\r\r>", {"rpm": 1726.0}),
        (b"18 DA F1 10 04 41 0C 1A F8 \r\r>", {"rpm": 1726.0}),
        (b"7E8 06 41 0C 1A F8 0D 64 \r\r>", {"rpm": 1726.0, "speed": 100.0}),
        (b"7E8 03 41 0D 64 AA AA AA AA \r\r>", {"speed": 100.0}),
        (b"SEARCHING...\r7E8 03 41 0D 64 \r\r>NO DATA\r\r>", {"speed": 100.0}),
        (b"7E9 03 41 0D 00 \r7E8 03 41 0D 64 \r\r>", {"speed": 100.0}),
        (b"7E8 03 7F 01 12 \r\r>7E8 03 41 0D 64 \r\r>", {"speed": 100.0}),
        (b"7E8 03 41 5C 64 \r\r>", {}),
        (b"43 01 33 00 00 00 00 \r\r>", {"trouble_codes": ("P0133",)}),
        (b"7E8 06 43 02 41 23 C1 00 \r\r>7E9 04 43 01 8A BC \r\r>", {"trouble_codes": ("C0123", "U0100", "B0ABC")}),
        (
            b"7E8 10 0A 43 04 01 33 02 44 \r7E8 21 03 00 04 20 00 00 00 \r\r>",
            {"trouble_codes": ("P0133", "P0244", "P0300", "P0420")},
        ),
        (
            b"00A \r0: 43 04 01 33 02 44 \r1: 03 00 04 20 00 00 00 \r\r>",
            {"trouble_codes": ("P0133", "P0244", "P0300", "P0420")},
        ),
    ],
)
def test_what_an_elm327_may_print(payload: bytes, fields: dict[str, Any]) -> None:
    assert decode_obd(payload) == fields


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\r\r>",
        b"NO DATA\r\r>",
        bytes(range(256)),
        b"hello",
        b"CAN ERROR\r\r>",
        b"7E8 04 41 0C 1A \r\r>",  # Shorter than its frame says.
        b"7E8 03 41 0C 1A \r\r>",  # Shorter than its PID says.
        b"7E8 10 0A 43 04 01 33 02 44 \r\r>",  # Breaks off.
        b"7E8 10 0A 43 04 01 33 02 44 \r7E8 22 03 00 04 20 00 00 00 \r\r>",  # A frame is missing.
        b"7E8 04 43 02 01 71 \r\r>",  # Two codes announced.
        b"7E8 21 43 02 01 71 \r\r>",
        b"7E8 \r\r>7E8\r",
        b"01 0D\r\r>",  # An echo.
        b"41 0D 64\r" * 300,
    ],
)
def test_what_no_elm327_prints_is_undecodable(payload: bytes) -> None:
    assert refused(payload).reason is Reason.PAYLOAD_UNDECODABLE


@given(st.binary(max_size=200) | st.text("0123456789ABCDEF:>\r ", max_size=200).map(str.encode))
def test_any_bytes_are_decoded_or_refused(payload: bytes) -> None:
    with contextlib.suppress(Reject):
        decode_obd(payload)
