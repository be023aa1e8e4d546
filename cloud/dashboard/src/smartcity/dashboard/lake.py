"""Questions to the lake: asked in a bounded pool of threads, once for all who wait for the same, kept for some seconds,
and stopped at Athena when nobody waits any more.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from smartcity.aws.clients import client
from smartcity.aws.marts import register_marts
from smartcity.aws.query import Result, run_query
from smartcity.aws.settings import Settings

from .errors import LakeBusyError, QuestionAbandonedError
from .settings import (
    LAKE_ANSWER_TTL_S,
    LAKE_ANSWERS_BYTES_MAX,
    LAKE_AT_ONCE_MAX,
    LAKE_QUESTIONS_MAX,
    LAKE_REGISTER_INTERVAL_S,
)

_log = logging.getLogger(__name__)

Ask = Callable[[str, threading.Event], bytes]
"""Answers a statement, ready to send. Blocks; raises QuestionAbandonedError soon after the event is set."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Question:
    answer: asyncio.Future[bytes]
    abandoned: threading.Event
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    body: bytes = field(repr=False)
    until: float


class Lake:
    """Belongs to one loop. `clock` gives seconds that never go back."""

    def __init__(self, ask: Ask, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=LAKE_AT_ONCE_MAX, thread_name_prefix="lake")
        self._closed = threading.Event()
        self._open: dict[str, _Question] = {}
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._answers_bytes = 0

    async def answer(self, key: str, sql: str) -> bytes:
        """The answer to a statement. Equal keys share it; the statement of the first counts. Who stops waiting is
        cancelled like any coroutine; when it was the last, so is the query.

        Raises:
            LakeBusyError: too many questions wait.
            AwsError: Athena gave no answer.
        """
        known = self._answers.get(key)
        if known is not None and known.until > self._clock():
            return known.body
        question = self._open.get(key) or self._start(key, sql)
        question.waiting += 1
        try:
            return await asyncio.shield(question.answer)
        finally:
            question.waiting -= 1
            if not question.waiting and not question.answer.done():
                question.abandoned.set()
                self._forget(key, question)

    def close(self) -> None:
        """Abandons every question; whoever waits gets QuestionAbandonedError."""
        self._closed.set()
        for question in self._open.values():
            question.abandoned.set()
        self._pool.shutdown(wait=False)

    def _start(self, key: str, sql: str) -> _Question:
        if len(self._open) >= LAKE_QUESTIONS_MAX:
            raise LakeBusyError(f"{LAKE_QUESTIONS_MAX} questions to the lake wait already: try again in a moment")
        abandoned = threading.Event()

        def work() -> bytes:
            if abandoned.is_set() or self._closed.is_set():
                raise QuestionAbandonedError("nobody waits for the answer any more")
            return self._ask(sql, abandoned)

        answer = asyncio.get_running_loop().run_in_executor(self._pool, work)
        question = self._open[key] = _Question(answer=answer, abandoned=abandoned)
        answer.add_done_callback(lambda done: self._take_in(key, question, done))
        return question

    def _take_in(self, key: str, question: _Question, done: asyncio.Future[bytes]) -> None:
        self._forget(key, question)
        # Asking for the exception tells asyncio that an abandoned question's is of no interest.
        if done.cancelled() or done.exception() is not None:
            return
        self._drop(key)
        self._answers[key] = _Answer(body=done.result(), until=self._clock() + LAKE_ANSWER_TTL_S)
        self._answers_bytes += len(done.result())
        while self._answers_bytes > LAKE_ANSWERS_BYTES_MAX:
            self._drop(next(iter(self._answers)))

    def _drop(self, key: str) -> None:
        known = self._answers.pop(key, None)
        self._answers_bytes -= len(known.body) if known else 0

    def _forget(self, key: str, question: _Question) -> None:
        if self._open.get(key) is question:
            del self._open[key]


class Athena:
    """Statements through Athena's API. Called from the pool's threads."""

    def __init__(self, settings: Settings, *, register: bool, shown: Callable[[Result], bytes]) -> None:
        """`register`: first put the marts' new days into the Glue catalog, where no crawler does."""
        self._settings = settings
        self._register = register
        self._shown = shown
        self._lock = threading.Lock()
        self._athena: Any = None
        self._registered_at: float | None = None

    def ask(self, sql: str, abandoned: threading.Event) -> bytes:
        """An `Ask`.

        Raises:
            AwsError, QuestionAbandonedError: there is no answer.
        """
        with self._lock:
            self._athena = self._athena or client("athena", self._settings)
            self._register_marts()
        started = _Started(self._athena)

        def pause(seconds: float) -> None:
            if abandoned.wait(seconds):
                raise QuestionAbandonedError("nobody waits for the answer any more")

        try:
            return self._shown(run_query(sql, self._settings, athena=started, sleep=pause))
        except QuestionAbandonedError:
            started.stop()
            raise

    def _register_marts(self) -> None:
        now = time.monotonic()
        if not self._register or (self._registered_at is not None and now < self._registered_at):
            return
        register_marts(self._settings)
        self._registered_at = now + LAKE_REGISTER_INTERVAL_S


class _Started:
    """An Athena client that remembers the query it started."""

    def __init__(self, athena: Any) -> None:
        self._athena = athena
        self._query_id: str | None = None

    def start_query_execution(self, **given: Any) -> Any:
        answer = self._athena.start_query_execution(**given)
        self._query_id = answer["QueryExecutionId"]
        return answer

    def stop(self) -> None:
        """Stops the query, as far as Athena can be reached."""
        try:
            self._athena.stop_query_execution(QueryExecutionId=self._query_id)
        except Exception as error:  # Nobody waits: there is no one to tell but the log.
            _log.info("the query %s was not stopped: %s", self._query_id, error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._athena, name)
