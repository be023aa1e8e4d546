"""Replay: the messages of a capture sent again, each when it is due, in the order of the file.

Guaranteed: bytes, topic, QoS and retain as captured, unless a flag says otherwise; the order of the file; memory that
does not grow with it. At QoS 1 and 2 a message counts as sent when the broker has confirmed it; after a lost connection
what was not confirmed is sent again, so the broker may get it twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from smartcity.contracts.limits import MQTT_PACKET_BYTES_MAX

from ..errors import BrokerError
from . import packets
from .choose import Choice, Target
from .connection import Broker, Connection, ConnectionLost, Losses
from .errors import CaptureError
from .message import Message
from .pace import Pace, PacingError
from .restamp import Restamp
from .span import Span
from .terminal import PAUSE, QUIT, pressed
from .window import Window

AHEAD_NS = 2_000_000
"""Once awake, what is due within this time goes too: fewer system calls, at the price of so much earliness."""
UNHEARD_S = 0.02
"""How long at most the broker may wait to be heard."""
BATCH_BYTES_MAX = 64 * 1024
CONFIRM_TIMEOUT_S = 30.0
RECONNECT_TIMEOUT_S = 60.0
RECONNECT_PAUSE_S = 0.5
TURN_S = 0.5
"""How long at most nothing else is looked at while waiting."""

Open = Callable[[], Iterator[Message]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    speed: float | None = 1.0
    """None: as fast as the broker takes it."""
    span: Span = field(default_factory=Span)
    loop: bool = False
    restamp: bool = False
    qos: int | None = None
    retain: bool | None = None
    """None: as captured."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of a replay."""

    messages: int = 0
    bytes: int = 0
    passes: int = 0
    started: float = 0.0
    seconds: float = 0.0
    too_large: int = 0
    unconfirmed: int = 0
    reconnections: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    error: PacingError = field(default_factory=PacingError)
    paced: bool = True

    @property
    def complete(self) -> bool:
        """Whether the broker took everything that was to be sent."""
        return not (self.too_large or self.unconfirmed or self.refused)

    def document(self) -> dict[str, Any]:
        return {
            "messages": self.messages,
            "bytes": self.bytes,
            "passes": self.passes,
            "seconds": round(self.seconds, 3),
            "messages_per_s": round(self.messages / self.seconds, 1) if self.seconds else 0.0,
            "left_out": dict(self.left_out),
            "refused": {f"0x{code:02X}": count for code, count in self.refused.items()},
            "too_large": self.too_large,
            "unconfirmed": self.unconfirmed,
            "reconnections": self.reconnections,
            **(self.error.document() if self.paced else {}),
        }


class Replayer:
    """One replay. `progress` is called about twice a second with the report as it is by then."""

    def __init__(
        self,
        broker: Broker,
        options: ReplayOptions,
        choice: Choice,
        *,
        stopping: Callable[[], bool] = lambda: False,
        terminal: int | None = None,
        progress: Callable[[Report, bool], None] = lambda report, paused: None,
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.report = Report(paced=options.speed is not None, left_out=choice.left_out)
        self._broker, self._options, self._choice = broker, options, choice
        self._stopping, self._terminal, self._progress, self._log = stopping, terminal, progress, log
        self._window = Window()
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._dues: list[int] = []
        self._horizon = 0
        """What is due before it may go now."""
        self._pace: Pace | None = None
        self._quit = False
        self._looked_at = 0
        self._losses = Losses(broker)
        self._connection = self._connect()

    def run(self, open_capture: Open) -> Report:
        """Send it all, or until told to stop.

        Raises:
            BrokerError: the broker cannot be reached (any more).
            CaptureError: nothing of the capture is to be sent.
        """
        report = self.report
        report.started = time.monotonic()
        try:
            while not self._ending():
                before = report.messages
                self._pass(open_capture())
                report.passes += 1
                if report.messages == before and not self._ending():
                    raise CaptureError(f"nothing to send: {_left_out(report.left_out)}")
                if not self._options.loop:
                    break
            self._await_confirmations()
        finally:
            report.seconds = time.monotonic() - report.started
            report.unconfirmed = len(self._window)
            report.refused = self._window.refused
            self._connection.close()
        return report

    def _pass(self, messages: Iterator[Message]) -> None:
        """Once through the capture."""
        options, choice = self._options, self._choice
        again = options.restamp or options.loop
        restamp = Restamp(times=options.restamp, boots=again)
        wall_ns = time.time_ns() - time.monotonic_ns()
        self._pace = pace = None
        self._horizon = 0
        for message in options.span.select(messages):
            target = choice.target(message.topic)
            if target is None:
                continue
            if pace is None:
                now = time.monotonic_ns()
                self._pace = pace = Pace(speed=options.speed, first_ns=message.time_ns, anchor_ns=now)
            due = pace.due_ns(message.time_ns)
            if due > self._horizon or self._batch_bytes > BATCH_BYTES_MAX or self._window.full:
                due = self._wait(pace, message.time_ns)
                if self._ending():
                    break
            if again or target.renamed is not None:
                at = due if options.speed is not None else time.monotonic_ns()
                message = restamp.apply(message, wall_ns + at, target.renamed)  # noqa: PLW2901 - a step further on its way.
            self._add(message, target, due)
        self._flush()

    def _add(self, message: Message, target: Target, due: int) -> None:
        """Into the batch that leaves next."""
        options, window = self._options, self._window
        if target.topic != message.topic or options.qos is not None or options.retain is not None:
            message = message._replace(
                topic=target.topic,
                qos=message.qos if options.qos is None else options.qos,
                retain=message.retain if options.retain is None else options.retain,
            )
        packet_id = window.take_id() if message.qos else 0
        data = packets.publish_packet(message, packet_id)
        if len(data) > self._packet_bytes_max:
            self.report.too_large += 1
            return
        if packet_id:
            window.add(packet_id, data)
        self._batch.append(data)
        self._batch_bytes += len(data)
        self._dues.append(due)

    def _wait(self, pace: Pace, time_ns: int) -> int:
        """Send what is in hand, then wait until the message is due and has room. Its due time, which a pause moves."""
        self._flush()
        heard = False
        while not self._ending():
            now, due = time.monotonic_ns(), pace.due_ns(time_ns)
            blocked = self._window.full or not self._connection.room
            if now >= due and not blocked and not pace.paused:
                self._horizon = now + AHEAD_NS
                if not heard:
                    self._turn(0.0, pace)
                self._look(now)
                return due
            left_s = TURN_S if blocked or pace.paused else (due - now) / 1e9
            # Acknowledgements are heard at the end of a short wait: each would wake us for nothing.
            self._turn(min(left_s, TURN_S), pace, reading=blocked or left_s > UNHEARD_S)
            self._look(time.monotonic_ns())
            heard = True
        return pace.due_ns(time_ns)

    def _turn(self, timeout_s: float, pace: Pace | None = None, *, reading: bool = True) -> None:
        """Once round the network and the terminal."""
        try:
            if timeout_s > 0 and self._connection.wait(timeout_s, terminal=self._terminal, reading=reading):
                self._keys(pace)
            self._connection.read(self._window.hear)
            if self._window.answers:
                answers = b"".join(self._window.answers)
                self._window.answers.clear()
                self._connection.send(answers)
        except ConnectionLost as error:
            self._reconnect(error)

    def _flush(self) -> None:
        if not self._batch:
            return
        data = b"".join(self._batch)
        report, now, dues = self.report, time.monotonic_ns(), self._dues
        report.messages += len(dues)
        report.bytes += len(data)
        if report.paced:
            for due in dues:
                report.error.add(now - due)
        self._batch, self._batch_bytes, self._dues = [], 0, []
        try:
            self._connection.send(data)
        except ConnectionLost as error:
            self._reconnect(error)

    def _keys(self, pace: Pace | None) -> None:
        assert self._terminal is not None
        for key in pressed(self._terminal):
            if key == QUIT:
                self._quit = True
            elif key == PAUSE and pace is not None:
                (pace.resume if pace.paused else pace.pause)(time.monotonic_ns())
                self._progress(self.report, pace.paused)

    def _look(self, now: int) -> None:
        if now - self._looked_at >= TURN_S * 1e9:
            self._looked_at = now
            self.report.seconds = time.monotonic() - self.report.started
            self._progress(self.report, self._pace is not None and self._pace.paused)

    def _ending(self) -> bool:
        return self._quit or self._stopping()

    def _await_confirmations(self) -> None:
        """Until nothing is owed, or for CONFIRM_TIMEOUT_S without any progress."""
        left, deadline = -1, 0.0
        while len(self._window) or not self._connection.idle:
            if len(self._window) != left:
                left, deadline = len(self._window), time.monotonic() + CONFIRM_TIMEOUT_S
            if time.monotonic() > deadline:
                self._log(f"{left} messages were not confirmed within {CONFIRM_TIMEOUT_S:.0f} s")
                return
            self._turn(0.1)

    def _connect(self) -> Connection:
        connection = Connection(self._broker)
        self._window.connected(connection.connack.receive_max)
        self._packet_bytes_max = connection.connack.packet_bytes_max or 256 * MQTT_PACKET_BYTES_MAX
        return connection

    def _reconnect(self, why: ConnectionLost) -> None:
        """A connection again, and everything unconfirmed once more.

        Raises:
            BrokerError: not within RECONNECT_TIMEOUT_S, or the broker ends each connection soon after it was made.
        """
        self._log(f"connection to {self._broker} lost: {why}")
        self._connection.close()
        self._losses.add(why)
        deadline = time.monotonic() + RECONNECT_TIMEOUT_S
        while True:
            try:
                self._connection = self._connect()
                for data in self._window:
                    self._connection.send(data)
            except (BrokerError, ConnectionLost) as error:
                if time.monotonic() > deadline or self._ending():
                    raise BrokerError(
                        f"{self._broker} is gone, with {len(self._window)} unconfirmed: {error}"
                    ) from error
                time.sleep(RECONNECT_PAUSE_S)
                continue
            self.report.reconnections += 1
            self._log(f"connected again; {len(self._window)} messages sent again")
            return


def _left_out(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in reasons.items()) or "the capture has no message in this span"
