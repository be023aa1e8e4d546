"""The driver: one process with one Spark session and one query. Its supervisor restarts it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from .checkpoint import forget_impossible_batch, require_cluster
from .errors import EXIT_OK, LakeError, TerminalError, TransientError
from .jars import require_jars
from .listener import Listener
from .pages import serve
from .places import grid_table
from .progress import Progress
from .query import LakeQuery, kafka_cluster_id
from .s3 import s3_client
from .session import start_session
from .settings import SUBMITTED, Settings, Storage
from .supervise import die_with_parent
from .tables import ensure_tables

_log = logging.getLogger(__name__)

_POLL_S = 1
QUERY_PAUSE_S = 1.0
QUERY_FAILURES_MAX = 10
"""In a row, before the driver ends and its supervisor starts another."""

_REFUSED_CREDENTIALS = {
    "403", "AccessDenied", "AccessDeniedException", "InvalidAccessKeyId", "SignatureDoesNotMatch",
    "UnrecognizedClientException", "ExpiredToken", "InvalidClientTokenId",
}  # fmt: skip

_DATA_LOSS_SIGNS = ("failOnDataLoss", "Some data may have been lost", "KAFKA_DATA_LOSS", "OffsetOutOfRange")


def drive(settings: Settings, *, supervised: bool) -> int:
    """Run the query until it ends, fails, or SIGTERM or SIGINT asks it to end after the running batch.

    Raises:
        TerminalError: a restart cannot mend it.
        TransientError: a restart may.
    """
    if supervised:
        die_with_supervisor()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    if settings.master != SUBMITTED:
        require_jars(settings.jars)
    check_bucket(settings.storage)
    progress = Progress()
    if settings.http is not None:
        serve(progress.pages(), settings.http)
    try:
        spark = start_session(settings)
        # Spark takes SIGINT for itself when its context starts.
        signal.signal(signal.SIGINT, lambda *_: stopping.set())
        spark.streams.addListener(Listener(progress))
        ensure_tables(spark)
        grid_rows = grid_table(spark)

        def start() -> LakeQuery:
            require_cluster(settings.storage, kafka_cluster_id(spark, settings.kafka), settings.kafka)
            forget_impossible_batch(settings.storage)
            return LakeQuery(spark, settings, progress, grid_rows)

        keep_querying(start, progress, stopping)
        spark.stop()
    except (PySparkException, Py4JJavaError, BotoCoreError, ClientError, OSError) as error:
        raise classify(error, error) from error
    return EXIT_OK


def keep_querying(
    start: Callable[[], LakeQuery], progress: Progress, stopping: threading.Event, *, pause_s: float = QUERY_PAUSE_S
) -> None:
    """Run the query until it ends or `stopping` is set. Where AWS, S3 or Kafka was away for a moment, the query alone
    is started again on its checkpoint: the JVM, its session and its compiled code stay.

    A query that has failed runs nothing any more: `process_batch` returns or raises when all its commits have ended.

    Raises:
        TerminalError: a restart cannot mend it.
        TransientError: it failed QUERY_FAILURES_MAX times with no batch completed between; a new driver may mend it.
    """
    failures = 0
    while not stopping.is_set():
        batches = progress.batches
        lake: LakeQuery | None = None
        try:
            lake = start()
            _log.info("query %s runs", lake.query.id)
            while not stopping.is_set() and not lake.query.awaitTermination(_POLL_S):
                pass
            if lake.query.isActive:
                _log.info("stopping after the running batch")
                lake.stop_between_batches()
            return
        except (PySparkException, Py4JJavaError, BotoCoreError, ClientError) as error:
            progress.running = False
            failure = classify((lake.failure if lake else None) or error, error)
            failures = 1 if progress.batches > batches else failures + 1
            if isinstance(failure, TerminalError) or failures >= QUERY_FAILURES_MAX:
                raise failure from error
            _log.warning("query failed, starting it again in %g s: %s", pause_s, failure)
        stopping.wait(pause_s)


def check_bucket(storage: Storage) -> None:
    """The bucket can be reached with the credentials at hand.

    Raises:
        TerminalError: no credentials, refused ones, or no such bucket.
        TransientError: the endpoint does not answer.
    """
    where = storage.s3_endpoint or "AWS"
    try:
        s3_client(storage).head_bucket(Bucket=storage.bucket)
    except NoCredentialsError as error:
        raise TerminalError("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") from error
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        if code in _REFUSED_CREDENTIALS:
            raise TerminalError(f"{where} refuses these credentials for bucket {storage.bucket} ({code})") from error
        if code in ("404", "NoSuchBucket"):
            raise TerminalError(
                f"no bucket {storage.bucket} at {where}: "
                "make it with `smartcity-aws prepare`, or name another with --bucket"
            ) from error
        raise TransientError(f"{where} answered {code} for bucket {storage.bucket}") from error
    except BotoCoreError as error:
        raise TransientError(f"{where} does not answer: {error}") from error


def classify(cause: BaseException, error: BaseException) -> LakeError:
    """Whether a restart can mend a failure."""
    if isinstance(cause, LakeError):
        return cause
    text = f"{cause}\n{error}"
    if any(sign in text for sign in _DATA_LOSS_SIGNS):
        return TerminalError(
            "Kafka no longer has records that the checkpoint expects: topics were deleted, retention has passed, or "
            "another Kafka answers at this address. If they are gone for good, start over with "
            "`smartcity down --wipe`, which removes topics, checkpoint and tables together. "
            f"Spark says: {_first_line(cause)}"
        )
    code = cause.response["Error"]["Code"] if isinstance(cause, ClientError) else ""
    if code in _REFUSED_CREDENTIALS or "Status Code: 403" in text:
        return TerminalError(f"AWS refuses these credentials: {_first_line(cause)}")
    return TransientError(_first_line(cause))


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    if isinstance(error, Py4JJavaError):  # Its first line names the call only; the second, what Java said.
        lines = lines[1:]
    return lines[0][:500] if lines else type(error).__name__


def die_with_supervisor() -> None:
    """End at once, with the JVM, when the supervisor is gone: it holds the other end of our standard input.

    The driver leads a process group of its own, which the JVM belongs to. While both are stopped (SIGSTOP) they read no
    standard input, and woken later they would go on with a batch that another driver has done by then. So on Linux the
    kernel kills the driver with its supervisor, and the JVM, which is forked from here, with the driver.
    """
    die_with_parent()
    os.register_at_fork(after_in_child=die_with_parent)

    def watch() -> None:
        # Unbuffered: a thread inside a buffered stream's lock would abort the interpreter's shutdown.
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="supervisor", daemon=True).start()
