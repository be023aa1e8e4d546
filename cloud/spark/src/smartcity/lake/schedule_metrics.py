"""What a schedule tells Prometheus of its jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from .pages import Page, metrics_page


class JobMetrics:
    """Safe to read from another thread. The schedule calls `turned` at every turn of its loop, some times a second."""

    stale_s = 10.0
    """A loop that has not turned for so long hangs."""

    def __init__(self, names: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        self._turned = time.monotonic()
        self._running = Gauge("lake_job_running", "1 while it runs, else 0", ["job"], registry=self.registry)
        self._runs = Counter("lake_job_runs", "Runs by how they ended", ["job", "ended"], registry=self.registry)
        self._seconds = Gauge(
            "lake_job_last_duration_seconds", "How long the last run took", ["job"], registry=self.registry
        )
        self._succeeded = Gauge(
            "lake_job_last_success_timestamp_seconds", "End of the last run without failure", ["job"],
            registry=self.registry,
        )  # fmt: skip
        for name in names:
            self._running.labels(name)
            for ended in ("well", "failed", "killed"):
                self._runs.labels(name, ended)

    def turned(self) -> None:
        """The loop lives."""
        self._turned = time.monotonic()

    def began(self, job: str) -> None:
        """A run begins."""
        self._running.labels(job).set(1)

    def ended(self, job: str, seconds: float, code: int | None) -> None:
        """A run has ended; `code` is None where it was killed."""
        self._running.labels(job).set(0)
        self._seconds.labels(job).set(seconds)
        self._runs.labels(job, "killed" if code is None else "failed" if code else "well").inc()
        if code == 0:
            self._succeeded.labels(job).set_to_current_time()

    def pages(self) -> Mapping[str, Page]:
        """For `pages.serve`."""
        return {"/metrics": metrics_page(self.registry), "/healthz": self._health}

    def _health(self) -> tuple[int, str, bytes]:
        still_s = time.monotonic() - self._turned
        body = {"status": "running" if still_s < self.stale_s else f"its loop stands still for {still_s:.0f} s"}
        return 200 if still_s < self.stale_s else 503, "application/json", json.dumps(body).encode()
