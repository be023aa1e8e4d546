"""Envelope, ids and times."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartcity.contracts.envelope import Envelope, EnvelopeError, format_time, parse_id, parse_time, read_envelope
from smartcity.contracts.limits import DEVICE_NAME_PATTERN
from smartcity.contracts.streams import STREAMS

BOOT = "0123456789abcdef"
PROPERTIES = [
    ("specversion", "1.0"),
    ("id", f"{BOOT}.7"),
    ("source", "/devices/bus-7"),
    ("type", "smartcity.gps.v1"),
    ("time", "2026-11-21T08:00:00.000000Z"),
]

boots = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
times = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
envelopes = st.builds(
    Envelope,
    boot=boots,
    sequence=st.integers(1, 10**18 - 1),
    device_id=st.from_regex(DEVICE_NAME_PATTERN, fullmatch=True),
    event_type=st.sampled_from([stream.event_type for stream in STREAMS]),
    time=times,
    sent_time=st.none() | times,
)


@given(envelopes)
def test_properties_read_back_as_they_were(envelope: Envelope) -> None:
    assert read_envelope(envelope.properties()) == envelope


@given(envelopes, st.integers(-14 * 60, 14 * 60))
def test_a_time_is_the_same_in_every_zone(envelope: Envelope, minutes: int) -> None:
    local = envelope.time.astimezone(UTC)
    try:
        local = envelope.time.astimezone(timezone(timedelta(minutes=minutes)))
    except OverflowError:
        return
    assert parse_time("time", local.isoformat()) == envelope.time
    assert format_time(local) == format_time(envelope.time)


def test_a_message_without_attributes_has_no_envelope() -> None:
    assert read_envelope([]) is None
    assert read_envelope([("metadata", "{}"), ("type", "x")]) is None


@pytest.mark.parametrize("name", [name for name, _ in PROPERTIES])
def test_a_missing_attribute_is_named(name: str) -> None:
    with pytest.raises(EnvelopeError, match=f"attribute {name} is missing"):
        read_envelope([pair for pair in PROPERTIES if pair[0] != name])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", "0.3"),
        ("id", f"{BOOT}.0"),
        ("id", f"{BOOT}.07"),
        ("id", f"{BOOT.upper()}.7"),
        ("id", "7"),
        ("source", "/devices/Bus 7"),
        ("source", "/devices/bus-7/gps"),
        ("source", f"/devices/{'x' * 33}"),
        ("time", "2026-11-21T08:00:00"),
        ("time", "yesterday"),
        ("senttime", ""),
    ],
)
def test_a_malformed_attribute_is_named(name: str, value: str) -> None:
    properties = [pair for pair in PROPERTIES if pair[0] != name] + [(name, value)]
    with pytest.raises(EnvelopeError, match=name):
        read_envelope(properties)


@given(st.text(max_size=40))
def test_no_text_breaks_the_parsers(text: str) -> None:
    # Any other exception than the one of the contract fails the test.
    with contextlib.suppress(EnvelopeError):
        parse_id(text)
    with contextlib.suppress(EnvelopeError):
        parse_time("time", text)


def test_times_have_microseconds() -> None:
    assert format_time(datetime(2026, 11, 21, 8, tzinfo=UTC)) == "2026-11-21T08:00:00.000000Z"


@given(times)
def test_times_have_one_width(time: datetime) -> None:
    assert len(format_time(time)) == len("2026-11-21T08:00:00.000000Z")
