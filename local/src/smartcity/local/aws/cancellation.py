"""How a client's wish to stop reaches what DuckDB executes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_INTERRUPT_EVERY_S = 0.05


@dataclass(slots=True, kw_only=True)
class Cancellation:
    """Of one query or transaction. `refusal` makes the error that it then ends with."""

    refusal: Callable[[], Exception]
    is_cancelled: bool = False
    _connection: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cancel(self) -> None:
        """Interrupt it now, or before its next step."""
        self.is_cancelled = True
        threading.Thread(target=self._interrupt, daemon=True).start()

    def check(self) -> None:
        """Raise if it was cancelled."""
        if self.is_cancelled:
            raise self.refusal()

    @contextmanager
    def reaching(self, connection: Any) -> Iterator[None]:
        """Inside, `cancel` interrupts what the connection executes."""
        with self._lock:
            self._connection = connection
        try:
            yield
        finally:
            with self._lock:
                self._connection = None

    def _interrupt(self) -> None:
        """Until it has ended: DuckDB forgets an interrupt that comes between two statements."""
        while True:
            with self._lock:
                if self._connection is None:
                    return
                self._connection.interrupt()
            time.sleep(_INTERRUPT_EVERY_S)
