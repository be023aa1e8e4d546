"""`--from` and `--to`: a part of a capture, by clock or counted from its first message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import CaptureError
from .formats.jsonl import parse_time_ns
from .message import Message

OUT_OF_ORDER_NS = 60_000_000_000
"""How far behind a later message an earlier one may stand in a file and still be found at the end of a span."""
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")
_UNITS_S = (3600, 60, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Nanoseconds since 1970, or since the capture's first message."""

    ns: int
    relative: bool

    @classmethod
    def parse(cls, text: str) -> Moment:
        """`90s`, `1h30m`, `2.5`, or an RFC 3339 time.

        Raises:
            CaptureError: it is neither.
        """
        match = _DURATION.fullmatch(text)
        if match and any(match.groups()):
            seconds = sum(float(number) * unit for number, unit in zip(match.groups(), _UNITS_S, strict=True) if number)
            return cls(ns=round(seconds * 1e9), relative=True)
        try:
            return cls(ns=parse_time_ns(text), relative=False)
        except ValueError as error:
            raise CaptureError(f"{text!r} is no time: write 90s, 1h30m, or 2026-03-02T12:00:00Z") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    begin: Moment | None = None
    end: Moment | None = None

    @property
    def from_ns(self) -> int | None:
        """Where a reader may begin, if that is known without reading."""
        return None if self.begin is None or self.begin.relative else self.begin.ns

    def select(self, messages: Iterator[Message]) -> Iterator[Message]:
        """The messages within, both ends included."""
        if self.begin is None and self.end is None:
            yield from messages
            return
        begin_ns, end_ns = 0, None
        first = True
        for message in messages:
            if first:
                first = False
                begin_ns = self._absolute(self.begin, message.time_ns) or 0
                end_ns = self._absolute(self.end, message.time_ns)
            if end_ns is not None and message.time_ns > end_ns + OUT_OF_ORDER_NS:
                return
            if message.time_ns >= begin_ns and (end_ns is None or message.time_ns <= end_ns):
                yield message

    @staticmethod
    def _absolute(moment: Moment | None, first_ns: int) -> int | None:
        if moment is None:
            return None
        return moment.ns + first_ns if moment.relative else moment.ns
