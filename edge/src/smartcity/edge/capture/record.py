"""Record: what a broker hands to a subscriber, into MCAP, with the time at which it came.

Passive: a client id and a clean session of its own, so its acknowledgements speak for no other subscriber, and nothing
is ever published. It subscribes at QoS 2 with retain as published, so both are recorded as the publisher chose them.
A kill costs what came within the last second (`FLUSH_S`); a lost connection costs what passed until it was back, and
the file names that gap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from smartcity.contracts import mqtt

from ..errors import BrokerError
from . import packets
from .connection import Broker, Connection, ConnectionLost, Losses
from .errors import CaptureError
from .formats.mcap import McapWriter
from .message import Message

FLUSH_S = 1.0
TURN_S = 0.2
RECONNECT_PAUSE_S = 0.5
ROTATE_BYTES_DEFAULT = 1_000_000_000
QOS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions:
    path: Path
    filters: Sequence[str]
    rotate_bytes: int = ROTATE_BYTES_DEFAULT
    """0: never. A file's index is held in memory, and grows with it."""
    rotate_s: float = 0.0
    count_max: int = 0
    duration_s: float = 0.0
    """0: until it is stopped."""
    overwrite: bool = False


@dataclass(slots=True, kw_only=True)
class Recorded:
    """What was recorded so far. `bytes` are payloads, topics and properties; `file_bytes` what is on disk."""

    messages: int = 0
    bytes: int = 0
    file_bytes: int = 0
    files: int = 1
    gaps: int = 0


class Files:
    """The file in progress, and its successors: city.mcap, city-2.mcap, city-3.mcap …"""

    def __init__(self, options: RecordOptions) -> None:
        self._options = options
        self._closed_bytes = 0
        self.count = self._number = 1
        self.writer = McapWriter(options.path, overwrite=options.overwrite)
        self._began = time.monotonic()

    @property
    def bytes_written(self) -> int:
        return self._closed_bytes + self.writer.bytes_written

    def rotate_if_due(self, now: float) -> None:
        """Looked at once a second."""
        options = self._options
        large = options.rotate_bytes and self.writer.bytes_written >= options.rotate_bytes
        old = options.rotate_s and now - self._began >= options.rotate_s
        if self.writer.messages and (large or old or self.writer.full):
            self.rotate()

    def rotate(self) -> None:
        """Finish this file, begin the next."""
        following = McapWriter(self._following(), overwrite=self._options.overwrite)
        self.writer.close()
        self._closed_bytes += self.writer.bytes_written
        self.count += 1
        self.writer = following
        self._began = time.monotonic()

    def _following(self) -> Path:
        """The next name; one that is taken by an older recording is passed over, since this one has to go on."""
        path = self._options.path
        while True:
            self._number += 1
            following = path.with_name(f"{path.stem}-{self._number}{path.suffix}")
            if self._options.overwrite or not following.exists():
                return following


class Recorder:
    """One recording. `progress` is called about once a second."""

    def __init__(
        self,
        broker: Broker,
        options: RecordOptions,
        *,
        stopping: Callable[[], bool] = lambda: False,
        progress: Callable[[Recorded], None] = lambda recorded: None,
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.recorded = Recorded()
        self._broker, self._options = broker, options
        self._stopping, self._progress, self._log = stopping, progress, log
        self._owed = bytearray()
        """Acknowledgements for what came in one read."""
        self._time_ns = 0
        self._losses = Losses(broker)
        self._connection = self._connect()
        try:
            self._files = Files(options)
        except CaptureError:
            self._connection.close()
            raise
        self._flushed_at = time.monotonic()

    def run(self) -> Recorded:
        """Record until told to stop.

        Raises:
            BrokerError: a subscription is refused, or the broker ends the connection for good.
            CaptureError: the file cannot be written any more.
        """
        end = time.monotonic() + self._options.duration_s if self._options.duration_s else None
        try:
            try:
                self._begin()
                while not self._done(end):
                    self._turn()
            finally:
                self._connection.close()
                self._files.writer.close()
        except OSError as error:  # The connection's own come as ConnectionLost.
            raise CaptureError(f"cannot write {self._files.writer.path}: {error.strerror}") from error
        self._look()
        return self.recorded

    def _done(self, end: float | None) -> bool:
        count_max = self._options.count_max
        return (
            self._stopping()
            or (end is not None and time.monotonic() >= end)
            or (count_max > 0 and self.recorded.messages >= count_max)
        )

    def _turn(self) -> None:
        try:
            self._connection.wait(TURN_S)
            self._time_ns = time.time_ns()
            self._connection.read(self._hear)
            self._acknowledge()
        except ConnectionLost as error:
            self._reconnect(error)
        now = time.monotonic()
        if now - self._flushed_at >= FLUSH_S:
            self._flushed_at = now
            self._files.writer.flush()
            self._files.rotate_if_due(now)
            self._look()
            self._progress(self.recorded)

    def _hear(self, first: int, buffer: bytes, start: int, end: int) -> None:
        kind = first & 0xF0
        if kind == mqtt.PUBLISH:
            message, packet_id = packets.parse_publish(first, buffer, start, end, time_ns=self._time_ns)
            if packet_id:
                self._owed += mqtt.acknowledgement(mqtt.PUBACK if message.qos == 1 else mqtt.PUBREC, packet_id)
            self._write(message)
            self.recorded.bytes += end - start
        elif kind == mqtt.PUBREL:
            self._owed += mqtt.acknowledgement(mqtt.PUBCOMP, int.from_bytes(buffer[start : start + 2]))

    def _write(self, message: Message) -> None:
        if self._options.count_max and self.recorded.messages >= self._options.count_max:
            return
        if self._files.writer.full:
            self._files.rotate()
        self._files.writer.write(message)
        self.recorded.messages += 1

    def _acknowledge(self) -> None:
        if self._owed:
            self._connection.send(bytes(self._owed))
            self._owed.clear()

    def _look(self) -> None:
        self.recorded.files = self._files.count
        self.recorded.file_bytes = self._files.bytes_written

    def _connect(self) -> Connection:
        return Connection(self._broker)

    def _begin(self) -> None:
        try:
            self._subscribe()
        except ConnectionLost as error:
            self._reconnect(error)

    def _subscribe(self) -> None:
        self._time_ns = time.time_ns()
        self._connection.subscribe(self._options.filters, QOS, self._hear)
        self._acknowledge()

    def _reconnect(self, why: ConnectionLost) -> None:
        """As long as it takes: a recorder outlives its broker.

        Raises:
            BrokerError: the broker ends each connection soon after it was made.
        """
        lost_ns = time.time_ns()
        self._log(f"connection to {self._broker} lost: {why}")
        self._connection.close()
        self._losses.add(why)
        self._owed.clear()
        said = ""
        while not self._stopping():
            try:
                self._connection = self._connect()
                self._subscribe()
            except (BrokerError, ConnectionLost) as error:
                if str(error) != said:
                    said = str(error)
                    self._log(f"not connected: {said}; trying again")
                time.sleep(RECONNECT_PAUSE_S)
                continue
            back_ns = time.time_ns()
            self._files.writer.gap(lost_ns, back_ns)
            self.recorded.gaps += 1
            self._log(f"connected again; nothing was recorded for {(back_ns - lost_ns) / 1e9:.1f} s")
            return
