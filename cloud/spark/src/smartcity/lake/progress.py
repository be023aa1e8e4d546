"""What the driver tells: Prometheus metrics and its health, over HTTP."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from .batch import Outcome
from .tables import TABLES


class Progress:
    """Counts of this driver's life, and whether its query runs. Safe to read from another thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.running = False
        self.last: Outcome | None = None
        self.batches = 0
        self._rows = Counter("lake_rows", "Rows committed", ["table"], registry=self.registry)
        self._duplicates = Counter("lake_duplicates", "Repeated records removed", ["table"], registry=self.registry)
        self._batches = Counter("lake_batches", "Batches completed", registry=self.registry)
        self._last_time = Gauge("lake_last_batch_timestamp_seconds", "End of the last batch", registry=self.registry)
        self._last_duration = Gauge("lake_last_batch_duration_seconds", "How long it took", registry=self.registry)
        self._last_records = Gauge("lake_last_batch_records", "Kafka records in it", registry=self.registry)
        for table in TABLES:
            self._rows.labels(table.name)
            self._duplicates.labels(table.name)

    def completed(self, outcome: Outcome) -> None:
        for table, rows in outcome.rows.items():
            self._rows.labels(table).inc(rows)
        for table, rows in outcome.duplicates.items():
            self._duplicates.labels(table).inc(rows)
        self.batches += 1
        self._batches.inc()
        self._last_time.set(time.time())
        self._last_duration.set(outcome.seconds)
        self._last_records.set(outcome.records)
        self.last = outcome

    def health(self) -> dict[str, object]:
        """`status` is `running` while the query runs, else `starting`."""
        last = None
        if self.last is not None:
            last = {"id": self.last.batch_id, "records": self.last.records, "seconds": round(self.last.seconds, 3)}
        return {"status": "running" if self.running else "starting", "last_batch": last}


def serve(progress: Progress, address: tuple[str, int]) -> ThreadingHTTPServer:
    """Answer `/metrics` and `/healthz` (503 until the query runs) from a thread of its own.

    Raises:
        OSError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", generate_latest(progress.registry))
            elif self.path == "/healthz":
                body = json.dumps(progress.health()).encode()
                self._answer(200 if progress.running else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"/metrics or /healthz\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not worth a line each."""

    server = ThreadingHTTPServer(address, Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server
