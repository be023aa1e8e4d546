"""The local AWS endpoint: Glue, Athena, Redshift and CloudFormation of our own, STS and IAM by moto, EMR Serverless and
QuickSight recorded, everything else refused by name.

    python -m smartcity.local.aws.server --listen 127.0.0.1:4567 --data var/data/aws --s3 http://127.0.0.1:4566

They keep their state in `<data>/aws.db`, and a Redshift namespace its rows in `<data>/redshift/`. What moto records
(STS, IAM) lives as long as the process, but for what stacks have made. It checks no signatures, which is why it listens
on loopback only; it wants requests signed, as every SDK does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import re
import signal
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import boto3
import botocore.config
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from .athena.metadata import AthenaMetadata
from .athena.named import AthenaNamedQueries
from .athena.results import Results
from .athena.service import AthenaQueries
from .athena.statements import Catalogs
from .athena.tables import S3Endpoint, TableReader
from .cloudformation.change_sets import ChangeSets
from .cloudformation.records import Records
from .cloudformation.service import CloudFormation
from .cloudformation.types import kinds
from .crawl.crawlers import Crawlers
from .emr_serverless import EmrServerless
from .errors import AwsError, not_served
from .glue.partitions import GluePartitions
from .glue.service import GlueCatalog
from .in_process import InProcessClients
from .listen import listen_address
from .moto_services import SERVICES as BY_MOTO
from .moto_services import MotoServices
from .protocol import JsonService, error_answer
from .query_protocol import CONTENT_TYPE as XML
from .query_protocol import QueryService, error_body
from .quicksight import QuickSight
from .redshift.data import RedshiftData
from .redshift.engine import Warehouse
from .redshift.limits import RedshiftUsageLimits
from .redshift.serverless import RedshiftServerless
from .rest_protocol import RestJsonService
from .store import Store

log = logging.getLogger(__name__)

REQUEST_BYTES_MAX = 16 * 1024**2
_JSON = "application/x-amz-json-1.1"
_SCOPE = re.compile(r"Credential=[^/,]*/[0-9]{8}/[^/,]*/([^/,]*)/aws4_request")


class LocalAws:
    """The WSGI application."""

    def __init__(self, *, data: Path, s3: S3Endpoint) -> None:
        store = Store(data / "aws.db")
        catalog = GlueCatalog(store)
        partitions = GluePartitions(store, catalog)
        metadata = AthenaMetadata(store, catalog)

        def new_reader() -> TableReader:
            return TableReader(catalog=catalog, partitions=partitions, s3=s3)

        def new_catalogs() -> Catalogs:
            return Catalogs(catalog=catalog, partitions=partitions, reader=new_reader())

        def open_warehouse(path: Path) -> Warehouse:
            return Warehouse(path, s3=s3_client, new_system=s3.for_arrow, new_reader=new_reader)

        def create_database(name: str) -> None:
            with contextlib.suppress(AwsError):  # It is there.
                catalog.create_database({"DatabaseInput": {"Name": name}})

        s3_client = _s3_client(s3)
        queries = AthenaQueries(
            store=store, workgroup=metadata.workgroup, new_catalogs=new_catalogs, results=Results(s3_client)
        )
        crawlers = Crawlers(store=store, catalog=catalog, partitions=partitions, s3=s3_client, new_system=s3.for_arrow)
        serverless = RedshiftServerless(store, region=s3.region)
        statements = RedshiftData(
            store=store,
            folder=data / "redshift",
            serverless=serverless,
            open_warehouse=open_warehouse,
            create_database=create_database,
        )
        serverless.on_delete = statements.drop
        glue = {**catalog.actions(), **partitions.actions(), **crawlers.actions()}
        named = AthenaNamedQueries(store, metadata.workgroup)
        athena = {**queries.actions(), **metadata.actions(), **named.actions()}
        limits = RedshiftUsageLimits(store, serverless)
        self._moto = MotoServices()
        stacks = CloudFormation(
            records=Records(store),
            kinds=kinds(InProcessClients(self, region=s3.region, s3=s3_client)),
            s3=s3_client,
            s3_url=s3.url,
            region=s3.region,
        )
        self._moto.restore = stacks.restore
        self._store = store
        self._closing = (stacks, queries, crawlers, statements)
        self._query = {
            "cloudformation": QueryService(
                name="cloudformation",
                invalid_input="ValidationError",
                actions={**stacks.actions(), **ChangeSets(stacks).actions()},
            )
        }
        self._rest = {
            "emr-serverless": RestJsonService(
                name="emr-serverless",
                invalid_input="ValidationException",
                actions=EmrServerless(store, region=s3.region).actions(),
            ),
            "quicksight": RestJsonService(
                name="quicksight",
                invalid_input="InvalidParameterValueException",
                actions=QuickSight(store, region=s3.region).actions(),
            ),
        }
        self._services = {
            "AWSGlue": JsonService(name="glue", invalid_input="InvalidInputException", actions=glue),
            "AmazonAthena": JsonService(name="athena", invalid_input="InvalidRequestException", actions=athena),
            "RedshiftServerless": JsonService(
                name="redshift-serverless",
                invalid_input="ValidationException",
                actions={**serverless.actions(), **limits.actions()},
            ),
            "RedshiftData": JsonService(
                name="redshift-data", invalid_input="ValidationException", actions=statements.actions()
            ),
        }
        stacks.recover()

    def close(self) -> None:
        """Stop queries, crawls and statements, and close the store."""
        for each in self._closing:
            each.close()
        self._store.close()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = REQUEST_BYTES_MAX
        if request.method == "GET" and request.path == "/healthz":
            return Response("ok\n", mimetype="text/plain")(environ, start_response)
        service = ""
        try:
            service = _signed_for(request)
            if service in BY_MOTO:
                return self._moto(environ, start_response)
            status, body = self._answer(request, service)
        except AwsError as error:
            status, body = self._refusal(service, error)
        except Exception as error:
            log.exception("%s %s", request.method, request.path)
            status, body = self._refusal(service, AwsError("InternalServerException", repr(error), status=500))
        is_xml = service in self._query
        response = Response(body, status=status, content_type=XML if is_xml else _JSON)
        if status != 200 and not is_xml:
            response.headers["x-amzn-ErrorType"] = json.loads(body)["__type"]
        return response(environ, start_response)

    def _refusal(self, service: str, error: AwsError) -> tuple[int, bytes]:
        return (error.status, error_body(error)) if service in self._query else error_answer(error)

    def _answer(self, request: Request, signed_for: str) -> tuple[int, bytes]:
        if signed_for in self._query:
            return self._query[signed_for].answer(request.form)
        if signed_for in self._rest:
            return self._rest[signed_for].answer(request)
        prefix, _, operation = request.headers.get("X-Amz-Target", "").rpartition(".")
        service = self._services.get(prefix)
        if service is None:
            raise not_served(signed_for, operation or _operation(request))
        return service.answer(operation, request.get_data())


def _signed_for(request: Request) -> str:
    """The service in the request's credential scope (AWS Signature Version 4)."""
    scope = _SCOPE.search(request.headers.get("Authorization", ""))
    if scope is None:
        raise AwsError("MissingAuthenticationTokenException", "The request is not signed (SigV4)", status=403)
    return scope[1]


def _operation(request: Request) -> str:
    """The call's name in the query protocol, or its method and path."""
    if request.mimetype == "application/x-www-form-urlencoded":
        action = urllib.parse.parse_qs(request.get_data(as_text=True)).get("Action")
        if action:
            return action[0]
    return f"{request.method} {request.path}"


def _s3_client(s3: S3Endpoint) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=s3.url,
        region_name=s3.region,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        config=botocore.config.Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 3}),
    )


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 75

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        log.debug("%s %s", self.requestline, code)


def serve(*, host: str, port: int, data: Path, s3: S3Endpoint) -> None:
    """Serve until SIGTERM or SIGINT."""
    application = LocalAws(data=data, s3=s3)
    server = make_server(host, port, application, threaded=True, request_handler=_Handler)
    server.daemon_threads = True  # type: ignore[attr-defined]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    log.info("Glue, Athena and Redshift at http://%s:%s, S3 at %s", host, port, s3.url)
    server.serve_forever()
    server.server_close()
    application.close()


def main(arguments: list[str] | None = None) -> int:
    """Entry of `python -m smartcity.local.aws.server`."""
    parser = argparse.ArgumentParser(
        prog="python -m smartcity.local.aws.server",
        description="The local AWS endpoint.",
        epilog="example: python -m smartcity.local.aws.server --listen 127.0.0.1:4567 --data var/data/aws "
        "--s3 http://127.0.0.1:4566",
    )
    parser.add_argument("--listen", required=True, type=listen_address, metavar="HOST:PORT", help="a loopback address")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="where databases and tables are kept")
    parser.add_argument("--s3", required=True, metavar="URL", help="the S3 endpoint of the tables' files")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("pyiceberg", "werkzeug"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # It warns of each statement that is refused later.
    s3 = S3Endpoint(
        url=options.s3,
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        access_key=os.environ.get("AWS_ACCESS_KEY_ID", "local"),
        secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "local"),
    )
    host, port = options.listen
    serve(host=host, port=port, data=options.data, s3=s3)
    return 0


if __name__ == "__main__":
    sys.exit(main())
