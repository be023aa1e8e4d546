"""The shell around the picture: asks every part again and again, in threads of its own, and keeps what came last."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .bridge import Counts, counts_of
from .flow import Histories, document
from .flow_history import History, Key, Values, read_samples
from .flow_parts import Facts, Gateway
from .flow_probes import KafkaProbe, ask, watched
from .settings import BRIDGE_INTERVAL_S, FLOW_IDLE_INTERVAL_S, FLOW_INTERVAL_S, FLOW_TIMEOUT_S, Settings

_READY_TIMEOUT_S = FLOW_TIMEOUT_S + 1.0
"""The bridge gives Kafka two seconds before it says that it is not ready."""


class Watch:
    """Belongs to one loop. `environment` says where AWS is (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`) and where the
    local stack keeps its logs (`SMARTCITY_VAR`)."""

    def __init__(self, settings: Settings, *, gateway: Callable[[], Gateway], environment: Mapping[str, str]) -> None:
        self.watching = 0
        """Pages that look at the moment."""
        self._settings = settings
        self._gateway = gateway
        var = environment.get("SMARTCITY_VAR")
        self._logs = f"{var.rstrip('/')}/log" if var else None
        aws = environment.get("AWS_ENDPOINT_URL")
        self._kafka = KafkaProbe(settings.kafka)
        self._histories = Histories()
        self._facts = Facts(
            gateway=gateway(),
            bridge_url=settings.bridge,
            lake_url=settings.lake,
            kafka_address=settings.kafka,
            s3_url=watched(environment.get("AWS_ENDPOINT_URL_S3") or aws),
            aws_url=watched(environment.get("AWS_ENDPOINT_URL_ATHENA") or aws),
        )
        self.bridge_counts = Counts(trouble=f"asking the bridge at {settings.bridge}")
        """What the bridge counted by its last scrape, at most BRIDGE_INTERVAL_S and its answer old."""
        self._shown = (0.0, "")
        self._pool = ThreadPoolExecutor(max_workers=6, thread_name_prefix="flow")

    def shown(self) -> str:
        """The page's document as JSON, at most half an interval old: all pages share it."""
        at, known = self._shown
        if not known or time.monotonic() > at + FLOW_INTERVAL_S / 2:
            facts = dataclasses.replace(self._facts, gateway=self._gateway())
            made = document(facts, self._histories, now=time.time(), logs=self._logs)
            known = json.dumps(made, separators=(",", ":"), allow_nan=False)
            self._shown = (time.monotonic(), known)
        return known

    async def run(self) -> None:
        """Ask until cancelled. A part that does not answer delays no other."""
        bridge, lake = self._settings.bridge, self._settings.lake
        asked: list[tuple[str, Callable[[], Any]]] = [
            ("bridge", lambda: ask(f"{bridge}/healthz")),
            ("bridge_ready", lambda: ask(f"{bridge}/readyz", _READY_TIMEOUT_S)),
            ("kafka", self._kafka.ask),
            ("lake", lambda: ask(f"{lake}/progress")),
        ]
        # Anything that an endpoint answers says that it lives; these paths cost it nothing.
        for name, url in (("s3", self._facts.s3_url), ("aws", self._facts.aws_url)):
            if url is not None:
                asked.append((name, lambda url=url: ask(f"{url}/healthz")))  # type: ignore[misc]
        try:
            async with asyncio.TaskGroup() as tasks:
                for name, question in asked:
                    tasks.create_task(self._keep_asking(name, question))
                tasks.create_task(self._keep_reading_bridge(f"{bridge}/metrics"))
                tasks.create_task(self._keep_reading_lake(f"{lake}/metrics"))
                tasks.create_task(self._keep_counting())
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _keep_asking(self, name: str, question: Callable[[], Any]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            answer = await loop.run_in_executor(self._pool, question)
            self._facts = dataclasses.replace(self._facts, **{name: answer})
            await self._pause()

    async def _keep_reading_bridge(self, url: str) -> None:
        """Often enough for the live page, too."""
        while True:
            found = await self._read(self._histories.bridge, url)
            self.bridge_counts = _counted(found, self._settings.bridge)
            await self._pause(BRIDGE_INTERVAL_S)

    async def _keep_reading_lake(self, url: str) -> None:
        while True:
            await self._read(self._histories.lake, url)
            await self._pause()

    async def _read(self, history: History, url: str) -> Values | str:
        """Add a scrape to a history, or forget it where there is none; what `_scrape` found."""
        found = await asyncio.get_running_loop().run_in_executor(self._pool, _scrape, url)
        if isinstance(found, str):
            history.clear()
        else:
            history.add(time.monotonic(), found)
        return found

    async def _keep_counting(self) -> None:
        while True:
            seen = self._gateway()
            if seen.trouble is None:
                counts: dict[Key, float] = {("readings", stream): float(count) for stream, count in seen.counts.items()}
                self._histories.gateway.add(time.monotonic(), counts)
            else:
                self._histories.gateway.clear()
            await self._pause()

    async def _pause(self, idle_s: float = FLOW_IDLE_INTERVAL_S) -> None:
        """Shorter as soon as somebody looks."""
        until = time.monotonic() + idle_s
        await asyncio.sleep(FLOW_INTERVAL_S)
        while not self.watching and time.monotonic() < until:
            await asyncio.sleep(FLOW_INTERVAL_S)


def _counted(found: Values | str, bridge: str) -> Counts:
    """A scrape's sums, or why there are none: a number that is not finite is no count."""
    if not isinstance(found, str):
        try:
            return counts_of(found)
        except (ValueError, OverflowError) as error:
            found = str(error)
    return Counts(trouble=f"the bridge at {bridge} does not answer: {found}")


def _scrape(url: str) -> Values | str:
    """A process's samples, or why there are none."""
    answer = ask(url)
    if answer.trouble is not None or answer.status != 200:
        return answer.trouble or f"status {answer.status}"
    try:
        return read_samples(answer.text)
    except ValueError as error:
        return str(error)
