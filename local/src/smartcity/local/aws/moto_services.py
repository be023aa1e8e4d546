"""STS and IAM by moto, in this process: recorded in memory. What stacks have made there is made again after a start."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from .glue import ACCOUNT

SERVICES = ("sts", "iam")


class MotoServices:
    """moto's WSGI application, imported at its first request: it takes a second."""

    def __init__(self) -> None:
        os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT  # moto reads it where any of its modules is imported.
        self._lock = threading.RLock()
        self._application: Any = None
        self.restore: Callable[[], None] = lambda: None
        """Called once before the first request is answered; its own requests are answered."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            if self._application is None:
                made = importlib.import_module("moto.moto_server.werkzeug_app")
                self._application = made.DomainDispatcherApplication(made.create_backend_app)
                self.restore()
        answer: Iterable[bytes] = self._application(environ, start_response)
        return answer
