"""Reads the lake without Spark: Iceberg through the Glue catalog into Arrow, and the frames from the bucket."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.compute as pc
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import DATABASE, DEAD_LETTERS_TABLE

from .arrow import FRAMES, IDS, dead_letter_schema, lake_schema
from .errors import LakeUnreadableError
from .generated import Boot

log = logging.getLogger(__name__)

DEFAULT_BUCKET = "smartcity-lake"
FRAME_READERS = 16
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 60
_BOOT_CHARACTERS = 16
_FRAME_PORTION_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeAccess:
    """Where the lake is. Without endpoints and keys: AWS itself, as boto3 finds it."""

    bucket: str
    region: str
    aws_endpoint: str | None
    s3_endpoint: str | None
    access_key: str | None
    secret_key: str | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> LakeAccess:
        """From AWS's own variables and SMARTCITY_BUCKET."""
        aws_endpoint = environment.get("AWS_ENDPOINT_URL")
        return cls(
            bucket=environment.get("SMARTCITY_BUCKET", DEFAULT_BUCKET),
            region=environment.get("AWS_REGION", environment.get("AWS_DEFAULT_REGION", "us-east-1")),
            aws_endpoint=aws_endpoint,
            s3_endpoint=environment.get("AWS_ENDPOINT_URL_S3", aws_endpoint),
            access_key=environment.get("AWS_ACCESS_KEY_ID") if aws_endpoint else None,
            secret_key=environment.get("AWS_SECRET_ACCESS_KEY") if aws_endpoint else None,
        )

    def __repr__(self) -> str:
        return (
            f"LakeAccess(bucket={self.bucket!r}, aws_endpoint={self.aws_endpoint!r}, s3_endpoint={self.s3_endpoint!r})"
        )


class Lake:
    """The tables and frames, read at their current snapshots."""

    def __init__(self, access: LakeAccess) -> None:
        self._access = access
        self._catalog: GlueCatalog | None = None
        self._named_missing: set[str] = set()

    def rows(self, stream_name: str, boots: frozenset[Boot]) -> Any:
        """Rows of these boots with all columns (schema `lake_schema`)."""
        stream = next(stream for stream in STREAMS if stream.name == stream_name)
        schema = lake_schema(stream)
        batches = [
            pa.table([batch.column(f.name).cast(f.type) for f in schema], schema=schema)
            for batch in self.batches(stream.table, tuple(schema.names), boots)
        ]
        return pa.concat_tables([schema.empty_table(), *batches])

    def dead_letters(self, boots: frozenset[Boot]) -> Any:
        """Dead letters of these boots, their bytes hashed (schema `dead_letter_schema`)."""
        schema = dead_letter_schema()
        wanted = (*[name for name in schema.names if name != "found_sha256"], "payload")
        portions = [schema.empty_table()]
        for batch in self.batches(DEAD_LETTERS_TABLE, wanted, boots):
            digests = [hashlib.sha256(payload.as_buffer()).hexdigest() for payload in batch.column("payload")]
            found = [batch.column(f.name).cast(f.type) for f in schema if f.name != "found_sha256"]
            portions.append(pa.table([*found, pa.array(digests, pa.string())], schema=schema))
        return pa.concat_tables(portions)

    def ids(self, table: str, boots: frozenset[Boot] | None) -> Any:
        """`device_id` and `id` only: enough to see whether everything has arrived. None: of every boot."""
        batches = [
            pa.table([batch.column(name).cast(pa.string()) for name in IDS.names], schema=IDS)
            for batch in self.batches(table, tuple(IDS.names), boots)
        ]
        return pa.concat_tables([IDS.empty_table(), *batches])

    def frames(self, camera_rows: Any) -> Any:
        """Each distinct frame that the rows name, fetched once and hashed (schema FRAMES; null: no such object)."""
        snapshots = pc.unique(camera_rows["snapshot"]).drop_null().to_pylist()
        client = self._client("s3")
        with ThreadPoolExecutor(FRAME_READERS, thread_name_prefix="frames") as pool:
            found = list(pool.map(lambda key: self._frame(client, key), snapshots))
        return pa.table(
            [
                pa.array(snapshots, pa.string()),
                pa.array([digest for digest, _ in found], pa.string()),
                pa.array([size for _, size in found], pa.int64()),
            ],
            schema=FRAMES,
        )

    def total_records(self) -> dict[str, int]:
        """Rows per table as the current snapshots' summaries tell: no data is read. Missing tables have none."""
        counts = {}
        for name in (*(stream.table for stream in STREAMS), DEAD_LETTERS_TABLE):
            table = self._table(name)
            snapshot = table.current_snapshot() if table else None
            summary = snapshot.summary if snapshot else None
            counts[name] = int(summary["total-records"] or 0) if summary else 0
        return counts

    def batches(self, name: str, columns: tuple[str, ...], boots: frozenset[Boot] | None) -> Iterator[Any]:
        """Columns of a table as Arrow record batches; only rows of these boots, or all where None."""
        table = self._table(name)
        if table is None:
            return
        missing = set(columns) - {field.name for field in table.schema().fields}
        if missing:
            raise LakeUnreadableError(
                f"table {DATABASE}.{name} has no column {', '.join(sorted(missing))}: it is of another version than "
                "this program; `smartcity down --wipe` makes new tables"
            )
        keys = None if boots is None else pa.array(sorted(f"{device}/{boot}" for device, boot in boots), pa.string())
        try:
            for batch in table.scan(selected_fields=columns).to_arrow_batch_reader():
                yield batch if keys is None else batch.filter(_of_boots(batch, keys))
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(f"table {DATABASE}.{name}", error) from error

    def _frame(self, client: Any, key: str) -> tuple[str | None, int | None]:
        digest, size = hashlib.sha256(), 0
        try:
            body = client.get_object(Bucket=self._access.bucket, Key=key)["Body"]
            for portion in body.iter_chunks(_FRAME_PORTION_BYTES):
                digest.update(portion)
                size += len(portion)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404", "NotFound"):
                return None, None
            raise self._unreadable(f"object {key}", error) from error
        except BotoCoreError as error:
            raise self._unreadable(f"object {key}", error) from error
        return digest.hexdigest(), size

    def _table(self, name: str) -> Table | None:
        try:
            if self._catalog is None:
                self._catalog = GlueCatalog("lake", **self._properties())
            return self._catalog.load_table((DATABASE, name))
        except NoSuchTableError:
            if name not in self._named_missing:
                self._named_missing.add(name)
                log.warning("table %s.%s does not exist yet", DATABASE, name)
            return None
        except (ClientError, BotoCoreError, OSError) as error:
            raise self._unreadable(f"table {DATABASE}.{name}", error) from error

    def _properties(self) -> dict[str, str]:
        access = self._access
        wanted = {
            "client.region": access.region,
            "client.access-key-id": access.access_key,
            "client.secret-access-key": access.secret_key,
            "glue.endpoint": access.aws_endpoint,
            "s3.endpoint": access.s3_endpoint,
            "s3.connect-timeout": str(CONNECT_TIMEOUT_S),
            "s3.request-timeout": str(READ_TIMEOUT_S),
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def _client(self, service: str) -> Any:
        access = self._access
        return boto3.client(
            service,
            region_name=access.region,
            endpoint_url=access.s3_endpoint,
            aws_access_key_id=access.access_key,
            aws_secret_access_key=access.secret_key,
            config=Config(
                max_pool_connections=FRAME_READERS,
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                s3={"addressing_style": "path"} if access.s3_endpoint else None,
            ),
        )

    def _unreadable(self, what: str, error: Exception) -> LakeUnreadableError:
        where = self._access.s3_endpoint or "AWS"
        return LakeUnreadableError(
            f"cannot read {what} of bucket {self._access.bucket} at {where}: {error}. "
            "Is the stack up (`smartcity status`), or are AWS credentials and SMARTCITY_BUCKET set?"
        )


def _of_boots(batch: Any, keys: Any) -> Any:
    """Which rows are of these boots; an id too short to name one is of none."""
    boot = pc.utf8_slice_codeunits(batch.column("id").cast(pa.string()), 0, _BOOT_CHARACTERS)
    key = pc.binary_join_element_wise(batch.column("device_id").cast(pa.string()), boot, "/")
    return pc.is_in(key, value_set=keys)
