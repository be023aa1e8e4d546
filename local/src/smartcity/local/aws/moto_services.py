"""STS and IAM by moto, in this process: recorded in memory. What stacks have made there is made again after a start."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from .moto_modules import moto_application

SERVICES = ("sts", "iam")


class MotoServices:
    """moto's WSGI application, made at its first request."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._application: Any = None
        self.restore: Callable[[], None] = lambda: None
        """Called once before the first request is answered; its own requests are answered."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            if self._application is None:
                self._application = moto_application()
                self.restore()
        answer: Iterable[bytes] = self._application(environ, start_response)
        return answer
