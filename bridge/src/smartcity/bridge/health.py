"""`/healthz`, `/readyz` and `/metrics` over HTTP, in threads of their own that only read."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from .errors import PortTakenError

_TEXT = "text/plain; charset=utf-8"


class Health:
    """The HTTP server, started by the constructor.

    Args:
        stalled: what is wrong with the process itself, or None.
        missing: what the bridge needs and lacks, in words; empty when it is ready.

    Raises:
        PortTakenError: the address is in use or not ours.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        stalled: Callable[[], str | None],
        missing: Callable[[], list[str]],
        registry: CollectorRegistry,
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                status, content_type, body = _answer(self.path, stalled, missing, registry)
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Requests are not logged: probes come every second."""

        try:
            self._server = ThreadingHTTPServer(address, Handler)
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
            raise PortTakenError(
                f"the address {address[0]}:{address[1]} for health and metrics {why}; "
                "stop who holds it, or give another with --http"
            ) from error
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _answer(
    path: str,
    stalled: Callable[[], str | None],
    missing: Callable[[], list[str]],
    registry: CollectorRegistry,
) -> tuple[int, str, bytes]:
    match path.partition("?")[0]:
        case "/healthz":
            fault = stalled()
            return (200, _TEXT, b"ok\n") if fault is None else (503, _TEXT, f"{fault}\n".encode())
        case "/readyz":
            faults = missing()
            return (503, _TEXT, ("\n".join(faults) + "\n").encode()) if faults else (200, _TEXT, b"ready\n")
        case "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
    return 404, _TEXT, b"not found: /healthz, /readyz and /metrics are here\n"
