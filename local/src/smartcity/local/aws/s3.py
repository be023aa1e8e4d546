"""The local S3 endpoint: MiniStack's S3 alone, on loopback, keeping what it answered as done.

    python -m smartcity.local.aws.s3 --listen 127.0.0.1:4566 --data var/data/s3

MiniStack 1.5.33 with `S3_PERSIST=1` keeps objects through `kill -9`, with four holes that this module closes:

- It writes an object's bytes and their description (size, ETag, metadata) as two files, one after the other; a kill
  between them leaves new bytes under the old description. Here the description is written ahead, with the bytes'
  SHA-256, and the next start completes or drops it.
- A write or delete that fails on disk (full, read-only) is logged and answered as done. Here it is answered 500.
- Empty buckets and buckets' settings are saved at a graceful stop only. Here they are saved before the answer.
- `POST /_ministack/reset` wipes everything, unsigned. Here only the health and readiness pages are served.

Guarantee: what was answered is there after a kill of the process. It is not synced against a loss of power.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import importlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from .listen import listen_address

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_OPEN_PAGES = ("/_ministack/health", "/_ministack/ready")
_DESCRIPTION = ".meta.json"
_UNFINISHED = ".tmp"


def environment(data: Path, host: str, port: int) -> dict[str, str]:
    """The variables that MiniStack reads at import: S3 only, on `host`, everything under `data`."""
    return {
        "BIND_HOST": host,
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "PERSIST_STATE": "1",
        "S3_DATA_DIR": str(data / "objects"),
        "S3_PERSIST": "1",
        "SERVICES": "s3",
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(data / "buckets"),
        "TMPDIR": str(data / "tmp"),
    }


def recover(objects: Path) -> tuple[int, int]:
    """Complete or drop the writes that a kill interrupted; returns how many of each.

    A write is complete where the object's bytes already are those that the description written ahead names.
    """
    completed = dropped = 0
    for ahead in sorted(objects.rglob(f"*{_DESCRIPTION}{_UNFINISHED}")):
        description = ahead.with_name(ahead.name.removesuffix(_UNFINISHED))
        body = ahead.with_name(description.name.removesuffix(_DESCRIPTION))
        if _describes(ahead, body):
            ahead.replace(description)
            completed += 1
        else:
            ahead.unlink()
            dropped += 1
    for rest in objects.rglob(f"*{_UNFINISHED}"):
        if rest.is_file():
            rest.unlink()
    return completed, dropped


def _describes(ahead: Path, body: Path) -> bool:
    try:
        described = json.loads(ahead.read_text())["body_sha256"]
        with body.open("rb") as file:
            return bool(hashlib.file_digest(file, "sha256").hexdigest() == described)
    except (OSError, ValueError, KeyError):
        return False


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def keep_objects(s3: Any) -> None:
    """Replace MiniStack's two functions that touch an object's files with ones that are atomic and that raise."""

    def persist(bucket: str, key: str, record: dict[str, Any]) -> None:
        path = s3._object_disk_path(bucket, key)
        if path is None:
            raise OSError(f"no place on disk for the object {key!r} of bucket {bucket!r}")
        target = Path(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        described = {**s3._object_meta_from_record(record), **s3._key_history_meta(bucket, key), "key": key}
        body = record.get("body")
        if body is not None:
            described["body_sha256"] = hashlib.sha256(body).hexdigest()
        ahead = Path(f"{path}{_DESCRIPTION}{_UNFINISHED}")
        _write(ahead, json.dumps(described).encode())
        if body is not None:
            unfinished = Path(f"{path}{_UNFINISHED}")
            _write(unfinished, body)
            unfinished.replace(target)
        ahead.replace(f"{path}{_DESCRIPTION}")
        s3._remove_key_files(s3._other_key_disk_path(os.path.join(s3.DATA_DIR, s3.get_account_id(), bucket), key, path))  # noqa: PTH118
        record["body"] = None

    def delete(bucket: str, key: str) -> None:
        path = s3._object_disk_path(bucket, key)
        s3._remove_key_files(path)
        s3._remove_key_files(s3._other_key_disk_path(os.path.join(s3.DATA_DIR, s3.get_account_id(), bucket), key, path))  # noqa: PTH118

    s3._persist_object = persist
    s3._delete_persisted_object = delete


def guarded(app: Any, save_buckets: Callable[[], None]) -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """The ASGI application with MiniStack's own pages closed, and buckets saved before the answer."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith(("/_ministack", "/_localstack")) and path not in _OPEN_PAGES:
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"Closed on this endpoint.\n"})
            return

        async def send_saved(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300:
                save_buckets()
            await send(message)

        is_bucket = "/" not in path.strip("/")
        changes_bucket = scope["type"] == "http" and scope["method"] in ("PUT", "DELETE") and is_bucket
        await app(scope, receive, send_saved if changes_bucket else send)

    return serve


def serve(data: Path, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Must run before anything else imports MiniStack in this process."""
    for folder in ("objects", "buckets", "tmp"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    completed, dropped = recover(data / "objects")
    if completed or dropped:
        print(f"s3: interrupted writes: {completed} completed, {dropped} dropped", file=sys.stderr)
    os.environ.update(environment(data, host, port))
    app = importlib.import_module("ministack.app").app
    s3 = importlib.import_module("ministack.services.s3")
    persistence = importlib.import_module("ministack.core.persistence")
    keep_objects(s3)
    saved = persistence.load_state("s3")
    if saved:
        s3.load_persisted_state(saved)

    def save_buckets() -> None:
        persistence.save_state("s3", s3.get_state())

    config = importlib.import_module("hypercorn.config").Config()
    config.bind = [f"{host}:{port}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    config.graceful_timeout = 1
    asyncio.run(_until_signalled(guarded(app, save_buckets), config))


async def _until_signalled(app: Any, config: Any) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await importlib.import_module("hypercorn.asyncio").serve(app, config, shutdown_trigger=stopped.wait)


def main(arguments: list[str] | None = None) -> int:
    """Entry of `python -m smartcity.local.aws.s3`."""
    parser = argparse.ArgumentParser(
        prog="python -m smartcity.local.aws.s3",
        description="The local S3 endpoint.",
        epilog="example: python -m smartcity.local.aws.s3 --listen 127.0.0.1:4566 --data var/data/s3",
    )
    parser.add_argument("--listen", required=True, type=listen_address, metavar="HOST:PORT", help="a loopback address")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="where objects are kept")
    options = parser.parse_args(arguments)
    host, port = options.listen
    serve(options.data.resolve(), host, port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
