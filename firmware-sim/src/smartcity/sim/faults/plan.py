"""A plan of faults, read from TOML. A mistake is answered with file, fault, key, value and remedy.

Keys of a `[[fault]]`: `kind`; `devices` (a glob or a list of globs); `stream` (a name or a list, where the kind can
strike several); `from`, `to` (an offset from the world's start such as "10m", or RFC 3339); `every` and `for`
(durations; the seed decides where in each interval); `probability` per reading; and the kind's own parameters.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from smartcity.contracts.envelope import EnvelopeError, parse_time

from ..errors import SettingsError
from .kinds import KINDS, STUCK_DEFAULT, STUCK_SENSOR, STUCK_VALUES, Kind, Number
from .schedule import Schedule, When

FAULTS_MAX = 1_000
EXAMPLE = Path(__file__).with_name("example.toml")
_EXAMPLES = "`smartcity-sim faults` prints an example of every kind"
_COMMON = ("kind", "devices", "from", "to", "every", "for")
_UNITS = {"h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:[0-9]{1,6}[hms])+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One `[[fault]]` of a plan. `number` is its place in the file, from 1; of the parameters its kind's are set."""

    number: int
    kind: str
    devices: tuple[str, ...] = ("*",)
    streams: tuple[str, ...]
    schedule: Schedule
    skew_s: float = 0.0
    payload_bytes: int = 0
    delay_readings_max: int = 0
    value: str = ""

    def strikes(self, device_id: str) -> bool:
        """Whether the device is one of its devices."""
        return any(fnmatchcase(device_id, pattern) for pattern in self.devices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All faults of a file. `seed` is None where the world's seed decides."""

    path: str
    seed: int | None
    faults: tuple[Fault, ...]

    def check_devices(self, device_ids: Collection[str]) -> None:
        """
        Raises:
            SettingsError: a pattern fits none of the world's devices.
        """
        for fault in self.faults:
            for pattern in fault.devices:
                if not any(fnmatchcase(device_id, pattern) for device_id in device_ids):
                    near = difflib.get_close_matches(pattern, device_ids, n=1, cutoff=0.0)
                    raise SettingsError(
                        f"{self.path}, fault {fault.number} ({fault.kind}): devices {pattern!r} fits none of the "
                        f"{len(device_ids)} devices of this run; one is {near[0] if near else 'not there'}"
                    )


def load_plan(path: Path) -> Plan:
    """
    Raises:
        SettingsError: the file cannot be read, or something in it cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot read --faults {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"cannot read --faults {path}: not UTF-8 at byte {error.start}") from error
    return read_plan(text, str(path))


def read_plan(text: str, path: str) -> Plan:
    """A plan from the text of its file; `path` names it in errors.

    Raises:
        SettingsError: something in it cannot be used.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    for key in document:
        if key not in ("seed", "fault"):
            raise _error(
                path, f"unknown key {key!r}{_near(key, ('seed', 'fault'))}: a plan has `seed` and [[fault]] tables"
            )
    seed = document.get("seed")
    if seed is not None and type(seed) is not int:
        raise _error(path, f"seed is {seed!r}: give a whole number, or leave it out for the world's seed")
    tables = document.get("fault")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise _error(path, f"no [[fault]] table in it; {_EXAMPLES}")
    if len(tables) > FAULTS_MAX:
        raise _error(path, f"{len(tables)} faults, more than {FAULTS_MAX}: use globs in `devices` and `every`")
    return Plan(
        path=path,
        seed=seed,
        faults=tuple(_Table(path, number, table).fault() for number, table in enumerate(tables, 1)),
    )


class _Table:
    """One `[[fault]]` while it is read."""

    def __init__(self, path: str, number: int, table: dict[str, Any]) -> None:
        self._table = table
        self._number = number
        self._where = f"{path}, fault {number}"
        kind = table.get("kind")
        if kind is None:
            raise _error(self._where, f"it has no `kind`: one of {', '.join(KINDS)}")
        if not isinstance(kind, str) or kind not in KINDS:
            raise _error(self._where, f"kind is {kind!r}{_near(kind, KINDS)}: one of {', '.join(KINDS)}")
        self._name = kind
        self._where += f" ({kind})"
        self._kind: Kind = KINDS[kind]

    def fault(self) -> Fault:
        self._check_keys()
        streams = self._streams()
        numbers: dict[str, Any] = {name: self._number_of(name, rule) for name, rule in self._kind.numbers.items()}
        if self._name == STUCK_SENSOR:
            numbers["value"] = self._value(streams)
        return Fault(
            number=self._number,
            kind=self._name,
            devices=self._texts("devices", ("*",)),
            streams=streams,
            schedule=self._schedule(),
            **numbers,
        )

    def _check_keys(self) -> None:
        known = [*_COMMON, *self._kind.numbers]
        known += ["stream"] if self._kind.chosen else []
        known += [] if self._kind.spell else ["probability"]
        known += ["value"] if self._name == STUCK_SENSOR else []
        for key, value in self._table.items():
            if key not in known:
                raise self._error(key, value, f"unknown key{_near(key, known)}; this kind takes {', '.join(known)}")

    def _schedule(self) -> Schedule:
        begin, end = self._moment("from"), self._moment("to")
        every, lasts = self._duration("every"), self._duration("for")
        if (every is None) != (lasts is None):
            raise _error(self._where, 'give `every` and `for` together, e.g. every = "10m", for = "30s"')
        if every is not None and lasts is not None and lasts > every:
            raise self._error("for", self._table["for"], f"longer than every = {self._table['every']!r}")
        if type(begin) is type(end) and begin is not None and end is not None and end <= begin:  # type: ignore[operator]
            raise self._error("to", self._table["to"], f"not after from = {self._table['from']!r}")
        if self._kind.spell and begin is None and end is None and every is None:
            raise _error(
                self._where, 'it does not say when: give `from` and `to`, or `every` and `for`, e.g. from = "10m"'
            )
        probability = self._number_of("probability", Number(minimum=0, maximum=1, default=1.0))
        return Schedule(
            begin=timedelta(0) if begin is None else begin, end=end, every=every, lasts=lasts, probability=probability
        )

    def _moment(self, key: str) -> When | None:
        value = self._table.get(key)
        if value is None:
            return None
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(UTC)
        if isinstance(value, str):
            if _DURATION.fullmatch(value):
                return _seconds(value)
            try:
                return parse_time(key, value)
            except EnvelopeError:
                pass  # Said below, together with the other form.
        raise self._error(
            key, value, 'give an offset from the start such as "10m", or RFC 3339 such as 2026-03-02T07:10:00Z'
        )

    def _duration(self, key: str) -> timedelta | None:
        value = self._table.get(key)
        if value is None:
            return None
        if isinstance(value, str) and _DURATION.fullmatch(value) and _seconds(value):
            return _seconds(value)
        raise self._error(key, value, 'give a duration above 0 such as "90s", "10m" or "1h30m"')

    def _streams(self) -> tuple[str, ...]:
        can = self._kind.streams
        if self._name == STUCK_SENSOR:
            return self._texts("stream", can[:1], can)
        return self._texts("stream", can, can)

    def _texts(self, key: str, default: tuple[str, ...], choices: tuple[str, ...] = ()) -> tuple[str, ...]:
        value = self._table.get(key, list(default))
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not found or not all(isinstance(text, str) and text for text in found):
            raise self._error(key, value, "give a text or a list of texts")
        for text in found:
            if choices and text not in choices:
                raise self._error(
                    key, value, f"{text!r} is none that it can strike{_near(text, choices)}: {', '.join(choices)}"
                )
        return tuple(dict.fromkeys(found))

    def _number_of(self, key: str, rule: Number) -> Any:
        value = self._table.get(key, rule.default)
        if value is None:
            raise _error(self._where, f"it needs `{key}`, a number within {rule.minimum:.0f} to {rule.maximum:.0f}")
        right = type(value) is int or (type(value) is float and not rule.whole)
        if not right or not rule.minimum <= value <= rule.maximum or (rule.nonzero and not value):
            what = "a whole number" if rule.whole else "a number other than 0" if rule.nonzero else "a number"
            raise self._error(key, value, f"give {what} within {rule.minimum:.0f} to {rule.maximum:.0f}")
        return value

    def _value(self, streams: tuple[str, ...]) -> str:
        if len(streams) != 1:
            raise self._error("stream", self._table["stream"], "one sensor is stuck: give one stream")
        can = STUCK_VALUES[streams[0]]
        value = self._table.get("value", STUCK_DEFAULT[streams[0]])
        if value not in can:
            raise self._error(
                "value", value, f"{streams[0]} has no such field{_near(value, can)}: one of {', '.join(can)}"
            )
        return str(value)

    def _error(self, key: str, value: object, remedy: str) -> SettingsError:
        shown = value.isoformat() if isinstance(value, datetime) else repr(value)
        return _error(self._where, f"{key} = {shown[:80]}: {remedy}")


def _error(where: str, problem: str) -> SettingsError:
    return SettingsError(f"{where}: {problem}")


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"([0-9]+)([hms])", text)))


def _near(word: object, known: Collection[str]) -> str:
    found = difflib.get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {found[0]}?)" if found else ""
