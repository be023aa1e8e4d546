"""Pages over HTTP, for whoever watches a process: each is asked for anew, and answered from a thread."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest

from .errors import TerminalError

Page = Callable[[], tuple[int, str, bytes]]
"""Gives status, content type and body. Called from any thread."""


def http_address(text: str) -> tuple[str, int]:
    """An argparse type: `HOST:PORT`, or `:PORT` for loopback alone."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host or "127.0.0.1", int(port)


def metrics_page(registry: CollectorRegistry) -> Page:
    """What a Prometheus scrapes."""
    return lambda: (200, "text/plain; version=0.0.4; charset=utf-8", generate_latest(registry))


def serve(pages: Mapping[str, Page], address: tuple[str, int]) -> ThreadingHTTPServer:
    """Answer these paths from a thread of its own.

    Raises:
        TerminalError: the port is taken, or the address not ours.
    """
    known = f"{', '.join(pages)}\n".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            status, content_type, body = page() if page else (404, "text/plain", known)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not worth a line each."""

    try:
        server = ThreadingHTTPServer(address, Handler)
    except OSError as error:
        host, port = address
        raise TerminalError(f"--http {host}:{port}: {error.strerror or error}. Choose another port.") from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server
