"""The contract's rules on decoded readings."""

from __future__ import annotations

import dataclasses
import math
from datetime import datetime, timedelta
from typing import Any

import pytest

from smartcity.bridge.check import check
from smartcity.bridge.decode import decode_reading
from smartcity.bridge.errors import Reject
from smartcity.contracts.fields import Kind, columns
from smartcity.contracts.limits import DETAIL_CHARACTERS_MAX, EVENT_TIME_AHEAD_MAX_S, EVENT_TIME_MIN
from smartcity.contracts.reasons import Reason
from smartcity.contracts.streams import STREAMS

EVERY_FIELD = [(stream.name, column) for stream in STREAMS for column in columns(stream.contract)]
SECOND = timedelta(seconds=1)


def good(samples: Any, name: str) -> Any:
    return decode_reading(
        samples.stream(name), samples.envelope(name), "dev-1", samples.payloads[name], samples.metadata(name),
        samples.now,
    )  # fmt: skip


def reason_for(samples: Any, reading: Any) -> Reason | None:
    try:
        check(reading, samples.now)
    except Reject as refusal:
        return refusal.reason
    return None


def wrong_values(column: Any) -> list[Any]:
    """Values that the column must refuse, whatever else is in the reading."""
    rules = column.rules
    wrong: list[Any] = [object(), {"a": 1}, [1]] + ([] if column.nullable else [None])
    if column.kind in (Kind.NUMBER, Kind.INTEGER):
        step = 1 if column.kind is Kind.INTEGER else 1e-6
        number = int if column.kind is Kind.INTEGER else float
        wrong += [True, "1", math.nan, math.inf, -math.inf]
        wrong += [number(rules.minimum - step)] if rules.minimum is not None else []
        wrong += [number(rules.maximum + step)] if rules.maximum is not None else []
        wrong += [2**63, 1.0] if column.kind is Kind.INTEGER else [1]
    elif column.kind is Kind.STRING:
        wrong += [3, b"bytes"]
        wrong += ["None", ""] if rules.choices else []
        wrong += ["no\n", "", "A B"] if rules.pattern else []
        wrong += ["x" * (rules.length_max + 1)] if rules.length_max else []
    elif column.kind is Kind.STRINGS:
        wrong += ["P0171", (1,), (None,), ("P0171",) * (rules.length_max + 1)]
    elif column.kind is Kind.TIMESTAMP:
        wrong += ["2026-11-21T08:00:00Z", datetime(2026, 11, 21)]
    return wrong


@pytest.mark.parametrize(("name", "column"), EVERY_FIELD, ids=lambda value: getattr(value, "name", value))
def test_every_field_refuses_what_its_rules_refuse(samples: Any, name: str, column: Any) -> None:
    reading = good(samples, name)
    assert reason_for(samples, reading) is None
    for value in wrong_values(column):
        altered = dataclasses.replace(reading, **{column.name: value})
        assert reason_for(samples, altered) is Reason.CONTRACT_VIOLATION, value


@pytest.mark.parametrize(("name", "column"), EVERY_FIELD, ids=lambda value: getattr(value, "name", value))
def test_every_field_accepts_its_bounds(samples: Any, name: str, column: Any) -> None:
    reading, rules = good(samples, name), column.rules
    number = int if column.kind is Kind.INTEGER else float
    right: list[Any] = [None] if column.nullable else []
    right += [number(bound) for bound in (rules.minimum, rules.maximum) if bound is not None]
    right += rules.choices
    right += ["ü" * rules.length_max] if rules.length_max and column.kind is Kind.STRING else []
    right += [(), ("P0171",) * rules.length_max] if column.kind is Kind.STRINGS else []
    for value in right:
        assert reason_for(samples, dataclasses.replace(reading, **{column.name: value})) is None, value


def test_every_fault_is_named(samples: Any) -> None:
    reading = dataclasses.replace(good(samples, "weather"), humidity=101.0, condition=None)
    with pytest.raises(Reject) as caught:
        check(reading, samples.now)
    assert caught.value.detail == "condition is missing; humidity is 101.0, not within 0 to 100"


@pytest.mark.parametrize(
    ("after_limit", "reason"), [(timedelta(0), None), (timedelta(microseconds=1), Reason.EVENT_TIME_AHEAD)]
)
def test_an_event_time_ahead_is_refused(samples: Any, after_limit: timedelta, reason: Reason | None) -> None:
    time = samples.now + EVENT_TIME_AHEAD_MAX_S * SECOND + after_limit
    assert reason_for(samples, dataclasses.replace(good(samples, "gps"), timestamp=time)) is reason


@pytest.mark.parametrize(("offset", "reason"), [(0 * SECOND, None), (-SECOND, Reason.EVENT_TIME_TOO_OLD)])
def test_an_event_time_before_any_sense_is_refused(samples: Any, offset: timedelta, reason: Reason | None) -> None:
    assert reason_for(samples, dataclasses.replace(good(samples, "gps"), timestamp=EVENT_TIME_MIN + offset)) is reason


def test_a_long_list_of_faults_is_cut(samples: Any) -> None:
    nothing = {column.name: "x" * 100 for column in columns(samples.stream("weather").contract)}
    with pytest.raises(Reject) as caught:
        check(dataclasses.replace(good(samples, "weather"), **nothing), samples.now)
    assert len(caught.value.detail) == DETAIL_CHARACTERS_MAX
