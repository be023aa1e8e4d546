"""The lake's driver with a trap in it: python -m tests.lake_kills.driver drive …

The only module that knows the driver's inside. It wraps three names of the product and changes nothing else:
`query.process_batch`, `batch.is_committed` and `batch.append`.

In the trap's folder, the file `armed` says what to do, once, and where: {"point": …, "signal": "SIGKILL",
"batches": 0}. What happens is appended to `events.jsonl`, a line each, by this and every later driver.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from smartcity.lake import batch, main, query
from smartcity.lake.commit import BatchIdentity
from smartcity.lake.tables import Table

FOLDER = "LAKE_KILLS_TRAP"
"""Environment variable with the trap's folder."""
ALL_TABLES = len(batch.TABLES)


class Trap:
    """Sends its whole process group, JVM included, the armed signal where the armed point is reached."""

    def __init__(self, folder: Path) -> None:
        self._armed = folder / "armed"
        self._events = folder / "events.jsonl"
        self._one_at_a_time = threading.Lock()
        self._change = threading.Lock()
        self._plan: dict[str, Any] | None = None
        self._batch: int | None = None
        self._batches = 0
        self._held = 0
        self._looked = False
        self.tell("started")

    def tell(self, event: str, **values: Any) -> None:
        line = {"event": event, "pid": os.getpid(), "at": time.time(), "batch": self._batch, **values}
        with self._events.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def process_batch(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def process(*arguments: Any, **named: Any) -> Any:
            identity = next(one for one in (*arguments, *named.values()) if isinstance(one, BatchIdentity))
            self._batch, self._held, self._looked = identity.batch_id, 0, False
            self.tell("begun")
            self._plan = self._read_plan()
            self._reach("planned")
            outcome = real(*arguments, **named)
            self._look()
            self._reach("uncheckpointed")
            self._batches += 1
            self.tell("done", records=outcome.records, rows=outcome.rows)
            return outcome

        return process

    def is_committed(self, real: Callable[..., bool]) -> Callable[..., bool]:
        def committed(*arguments: Any, **named: Any) -> bool:
            held = real(*arguments, **named)
            with self._change:
                self._held += held
            return held

        return committed

    def append(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """In a batch with a trap, appends are made one at a time, so that it is certain how many are committed."""

        def append(*arguments: Any, **named: Any) -> Any:
            table = next(one for one in (*arguments, *named.values()) if isinstance(one, Table)).name
            with self._one_at_a_time if self._plan else nullcontext():
                self._look()
                self._reach(f"held-{self._held}")
                self.tell("appending", table=table)
                result = real(*arguments, **named)
                with self._change:
                    self._held += 1
                self._reach("all-held" if self._held == ALL_TABLES else "committed")
                self.tell("appended", table=table)
                return result

        return append

    def _look(self) -> None:
        """What the batch was found to be when it began: in how many tables already."""
        if not self._looked:
            self._looked = True
            self.tell("looked", held=self._held)

    def _read_plan(self) -> dict[str, Any] | None:
        """What is armed for this batch."""
        try:
            plan: dict[str, Any] = json.loads(self._armed.read_text())
        except FileNotFoundError:
            return None
        return plan if self._batches >= plan["batches"] else None

    def _reach(self, point: str) -> None:
        if self._plan and self._plan["point"] == point:
            self._armed.unlink()
            self.tell("hit", point=point, held=self._held, signal=self._plan["signal"])
            os.killpg(os.getpgrp(), signal.Signals[self._plan["signal"]])


def install(trap: Trap) -> None:
    query.process_batch = trap.process_batch(query.process_batch)
    batch.is_committed = trap.is_committed(batch.is_committed)
    batch.append = trap.append(batch.append)


if __name__ == "__main__":
    install(Trap(Path(os.environ[FOLDER])))
    sys.exit(main.main())
