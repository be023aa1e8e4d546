"""Does a decoded reading obey its contract? Rules come from the contract and are compiled once per stream."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from smartcity.contracts.envelope import format_time
from smartcity.contracts.fields import Column, Kind, Rules, columns
from smartcity.contracts.limits import DETAIL_CHARACTERS_MAX, EVENT_TIME_AHEAD_MAX_S, EVENT_TIME_MIN
from smartcity.contracts.reasons import Reason
from smartcity.contracts.streams import STREAMS, Reading

from .errors import Reject

Fault = str | None
_AHEAD_MAX = timedelta(seconds=EVENT_TIME_AHEAD_MAX_S)


def check(reading: Reading, received_at: datetime) -> None:
    """Pass, or refuse.

    Guarantees: a reading that passes has every field in the contract's type and range, no NaN and no infinity, and an
    event time that opens a sensible partition: not before EVENT_TIME_MIN, and at most EVENT_TIME_AHEAD_MAX_S after
    `received_at` (which is not after the Kafka record's timestamp, so the lake finds the same).

    Raises:
        Reject: `contract_violation` naming every field at fault, or one of the event time reasons.
    """
    faults = [
        f"{name} {fault}"
        for name, test in _COMPILED[type(reading)]
        if (fault := test(getattr(reading, name))) is not None
    ]
    if faults:
        raise Reject(Reason.CONTRACT_VIOLATION, "; ".join(faults)[:DETAIL_CHARACTERS_MAX])
    if reading.timestamp > received_at + _AHEAD_MAX:
        raise Reject(
            Reason.EVENT_TIME_AHEAD,
            f"event time {format_time(reading.timestamp)} is more than {EVENT_TIME_AHEAD_MAX_S} s after "
            f"{format_time(received_at)}, when it was received",
        )
    if reading.timestamp < EVENT_TIME_MIN:
        raise Reject(
            Reason.EVENT_TIME_TOO_OLD, f"event time {reading.timestamp.isoformat()} is before {EVENT_TIME_MIN.year}"
        )


def _test(column: Column) -> Callable[[Any], Fault]:
    test = _TESTS[column.kind](column.rules)
    absent = None if column.nullable else "is missing"

    def test_value(value: Any) -> Fault:
        return absent if value is None else test(value)

    return test_value


def _text(rules: Rules) -> Callable[[Any], Fault]:
    pattern = re.compile(rules.pattern) if rules.pattern else None
    length_max = rules.length_max
    choices = frozenset(rules.choices)

    def test(value: Any) -> Fault:
        if type(value) is not str:
            return f"is {_shown(value)}, not a string"
        if choices and value not in choices:
            return f"is {_shown(value)}, not one of {', '.join(rules.choices)}"
        if pattern is not None and pattern.fullmatch(value) is None:
            return f"is {_shown(value)}, not of the form {rules.pattern}"
        if length_max is not None and len(value) > length_max:
            return f"has {len(value)} characters, more than {length_max}"
        return None

    return test


def _integer(rules: Rules) -> Callable[[Any], Fault]:
    low = -(2**63) if rules.minimum is None else rules.minimum
    high = 2**63 - 1 if rules.maximum is None else rules.maximum

    def test(value: Any) -> Fault:
        if type(value) is not int:
            return f"is {_shown(value)}, not a whole number"
        return None if low <= value <= high else f"is {_shown(value)}, not within {low} to {high}"

    return test


def _number(rules: Rules) -> Callable[[Any], Fault]:
    low = -math.inf if rules.minimum is None else rules.minimum
    high = math.inf if rules.maximum is None else rules.maximum

    def test(value: Any) -> Fault:
        if type(value) is not float or not math.isfinite(value):
            return f"is {_shown(value)}, not a finite number"
        return None if low <= value <= high else f"is {_shown(value)}, not within {low} to {high}"

    return test


def _strings(rules: Rules) -> Callable[[Any], Fault]:
    length_max = rules.length_max

    def test(value: Any) -> Fault:
        if type(value) is not tuple or any(type(item) is not str for item in value):
            return f"is {_shown(value)}, not a list of strings"
        if length_max is not None and len(value) > length_max:
            return f"has {len(value)} items, more than {length_max}"
        return None

    return test


def _timestamp(rules: Rules) -> Callable[[Any], Fault]:
    def test(value: Any) -> Fault:
        if not isinstance(value, datetime) or value.tzinfo is None:
            return f"is {_shown(value)}, not a time with a zone"
        return None

    return test


def _exactly(kind: type, name: str) -> Callable[[Rules], Callable[[Any], Fault]]:
    def compiled(rules: Rules) -> Callable[[Any], Fault]:
        return lambda value: None if type(value) is kind else f"is {_shown(value)}, not {name}"

    return compiled


_TESTS: dict[Kind, Callable[[Rules], Callable[[Any], Fault]]] = {
    Kind.STRING: _text,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _exactly(bool, "true or false"),
    Kind.TIMESTAMP: _timestamp,
    Kind.STRINGS: _strings,
    Kind.BYTES: _exactly(bytes, "bytes"),
}


_COMPILED: dict[type[Reading], tuple[tuple[str, Callable[[Any], Fault]], ...]] = {
    stream.contract: tuple((column.name, _test(column)) for column in columns(stream.contract)) for stream in STREAMS
}


def _shown(value: Any) -> str:
    return repr(value)[:60]
