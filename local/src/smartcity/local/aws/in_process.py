"""boto3 clients of this endpoint from inside it: requests go to the WSGI application without a socket.

CloudFormation makes its resources with them. What it asks for passes the same checks as anybody's request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import boto3
import botocore.awsrequest
import botocore.config
from werkzeug.test import EnvironBuilder, run_wsgi_app

_ENDPOINT = "http://in-process"
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class InProcessClients:
    """A client for each service, made once. `s3` is another process's endpoint, and its client is given."""

    def __init__(self, application: Application, *, region: str, s3: Any) -> None:
        self._application = application
        self._region = region
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {"s3": s3}

    def __call__(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._new(service)
            return self._clients[service]

    def _new(self, service: str) -> Any:
        client = boto3.client(
            service,
            endpoint_url=_ENDPOINT,
            region_name=self._region,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )
        client.meta.events.register("before-send", self._send)
        return client

    def _send(self, request: Any, **_: Any) -> Any:
        body = request.body or b""
        headers = {name: _text(value) for name, value in request.headers.items()}
        builder = EnvironBuilder(
            path=request.url.removeprefix(_ENDPOINT),
            base_url=_ENDPOINT,
            method=request.method,
            headers=headers,
            data=body if isinstance(body, (str, bytes)) else body.read(),
        )
        answer, status, sent = run_wsgi_app(self._application, builder.get_environ(), buffered=True)
        raw = _Raw(b"".join(answer))
        return botocore.awsrequest.AWSResponse(request.url, int(status.split()[0]), dict(sent.items()), raw)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class _Raw:
    """What botocore reads an answer's body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body

    def read(self, *_: Any) -> bytes:
        return self._body
