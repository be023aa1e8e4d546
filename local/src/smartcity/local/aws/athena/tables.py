"""What a query reads of a registered table: Iceberg by its manifests, Hive Parquet by its registered partitions.

Only the columns in use are read, and only the files and row groups whose statistics allow the query's conditions. The
conditions are a help, not the filter: DuckDB applies the whole WHERE again.
"""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs
from pyiceberg import expressions as ice
from pyiceberg.expressions.visitors import bind
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import DataScan, StaticTable, Table
from sqlglot import exp

from ..errors import AwsError, QueryFailedError
from ..glue.partitions import GluePartitions
from ..glue.service import GlueCatalog
from .dialect import TableUse
from .types import arrow_type, athena_type

SCAN_BYTES_MAX = 4 * 1024**3
"""A query that would read more is refused: its columns have to fit into memory."""

S3_TIMEOUT_S = 60
"""pyarrow's own are one and three seconds, which a busy machine exceeds."""

Evaluate = Callable[[exp.Expr], Any]
"""Value of a constant SQL expression."""

_COMPARISONS: Mapping[type[exp.Expr], Any] = {
    exp.EQ: ice.EqualTo,
    exp.GT: ice.GreaterThan,
    exp.GTE: ice.GreaterThanOrEqual,
    exp.LT: ice.LessThan,
    exp.LTE: ice.LessThanOrEqual,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Endpoint:
    """Where the tables' files are."""

    url: str
    region: str
    access_key: str
    secret_key: str

    def for_iceberg(self) -> dict[str, str]:
        """Properties of pyiceberg's file system."""
        return {
            "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
            "s3.endpoint": self.url,
            "s3.region": self.region,
            "s3.access-key-id": self.access_key,
            "s3.secret-access-key": self.secret_key,
            "s3.force-virtual-addressing": "false",
            "s3.connect-timeout": str(S3_TIMEOUT_S),
            "s3.request-timeout": str(S3_TIMEOUT_S),
        }

    def for_arrow(self) -> Any:
        """pyarrow's file system."""
        parts = urllib.parse.urlsplit(self.url)
        return fs.S3FileSystem(
            endpoint_override=parts.netloc,
            scheme=parts.scheme,
            region=self.region,
            access_key=self.access_key,
            secret_key=self.secret_key,
            force_virtual_addressing=False,
            connect_timeout=S3_TIMEOUT_S,
            request_timeout=S3_TIMEOUT_S,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What was read. `bytes_scanned`: compressed bytes of the columns read, in the files that were not pruned."""

    rows: Any
    bytes_scanned: int


class TableReader:
    """Reads what one query uses. Each table is looked up once, so that all its mentions see one snapshot."""

    def __init__(self, *, catalog: GlueCatalog, partitions: GluePartitions, s3: S3Endpoint) -> None:
        self._catalog = catalog
        self._partitions = partitions
        self._s3 = s3
        self._tables: dict[tuple[str, str], dict[str, Any]] = {}
        self._opened: dict[str, Table] = {}

    def table(self, database: str, name: str) -> dict[str, Any]:
        """The registered table, or a failure in Athena's words."""
        if (database, name) in self._tables:
            return self._tables[database, name]
        with contextlib.suppress(AwsError):
            self._tables[database, name] = self._catalog.table(database, name)
            return self._tables[database, name]
        try:
            self._catalog.database(database)
        except AwsError:
            raise QueryFailedError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist") from None
        raise QueryFailedError("TABLE_NOT_FOUND", f"Table 'awsdatacatalog.{database}.{name}' does not exist")

    def columns(self, database: str, name: str) -> dict[str, str]:
        """A table's columns in order, {name: type}; of an Iceberg table those of its current schema."""
        table = self.table(database, name)
        if is_iceberg(table):
            arrow = self._iceberg(table).schema().as_arrow()
            return {field.name.lower(): athena_type(field.type) for field in arrow}
        listed = table.get("StorageDescriptor", {}).get("Columns", []) + table.get("PartitionKeys", [])
        return {column["Name"].lower(): column.get("Type", "string") for column in listed}

    def read(self, use: TableUse, evaluate: Evaluate) -> Scan:
        """Read what one mention of a table needs."""
        table = self.table(use.database, use.name)
        if is_iceberg(table):
            return self._read_iceberg(self._iceberg(table), use, evaluate)
        if "parquet" not in table.get("StorageDescriptor", {}).get("InputFormat", "").lower():
            raise QueryFailedError(
                "NOT_SUPPORTED",
                f"{use.database}.{use.name} is neither an Iceberg table nor Parquet: the local Athena reads only these",
            )
        return self._read_hive(table, use)

    def _iceberg(self, table: dict[str, Any]) -> Table:
        place = table["Parameters"].get("metadata_location")
        name = f"{table['DatabaseName']}.{table['Name']}"
        if not place:
            raise QueryFailedError("ICEBERG_INVALID_METADATA", f"{name} has no metadata_location")
        try:
            if name not in self._opened:
                self._opened[name] = StaticTable.from_metadata(place, self._s3.for_iceberg())
            return self._opened[name]
        except (OSError, ValueError) as error:
            raise QueryFailedError("ICEBERG_INVALID_METADATA", f"{name}: cannot read {place}: {error}") from None

    def _read_iceberg(self, table: Table, use: TableUse, evaluate: Evaluate) -> Scan:
        names = [field.name for field in table.schema().fields]
        wanted = names if use.columns is None else [name for name in names if name.lower() in use.columns]
        # With no column in use (count(*)), one narrow column counts the rows.
        fields = tuple(wanted) or (_narrowest(table),)
        scan = table.scan(row_filter=_row_filter(table, use, evaluate), selected_fields=fields)
        tasks = list(scan.plan_files())
        bytes_scanned = sum(_file_bytes(scan, task.file) for task in tasks)
        _check_size(use, bytes_scanned)
        try:
            # As DataScan.to_arrow does, on the files that are planned already: planning reads every manifest.
            rows = ArrowScan(table.metadata, table.io, scan.projection(), scan.row_filter).to_table(tasks)
        except FileNotFoundError as error:
            raise QueryFailedError("ICEBERG_CANNOT_OPEN_SPLIT", str(error)) from None
        return Scan(rows=_lower_names(rows), bytes_scanned=bytes_scanned)

    def _read_hive(self, table: dict[str, Any], use: TableUse) -> Scan:
        system = self._s3.for_arrow()
        keys = [(key["Name"].lower(), key.get("Type", "string")) for key in table.get("PartitionKeys", [])]
        columns = [(each["Name"].lower(), each["Type"]) for each in table["StorageDescriptor"].get("Columns", [])]
        wanted = [pair for pair in columns if use.columns is None or pair[0] in use.columns]
        if keys:
            selected = self._partitions.selected(table, _partition_expression(keys, use))
            parts = [(each["StorageDescriptor"]["Location"], each["Values"]) for each in selected]
        else:
            parts = [(table["StorageDescriptor"]["Location"], [])]
        tables, bytes_scanned = [], 0
        for location, values in parts:
            for path in _files(system, location):
                rows, size = _read_parquet(system, path, wanted)
                bytes_scanned += size
                _check_size(use, bytes_scanned)
                for (key, kind), value in zip(keys, values, strict=True):
                    constant = pa.repeat(pa.scalar(value, pa.string()), rows.num_rows).cast(arrow_type(kind))
                    rows = rows.append_column(key, constant)
                tables.append(rows)
        schema = pa.schema([pa.field(name, arrow_type(kind)) for name, kind in (*wanted, *keys)])
        if not tables:
            return Scan(rows=schema.empty_table(), bytes_scanned=0)
        return Scan(rows=pa.concat_tables(tables), bytes_scanned=bytes_scanned)


def is_iceberg(table: Mapping[str, Any]) -> bool:
    """Whether a Glue table points to Iceberg metadata."""
    return bool(table.get("Parameters", {}).get("table_type", "").upper() == "ICEBERG")


def _check_size(use: TableUse, size: int) -> None:
    if size > SCAN_BYTES_MAX:
        raise QueryFailedError(
            "EXCEEDED_LOCAL_MEMORY_LIMIT",
            f"{use.database}.{use.name}: the query would read {size} bytes, the local Athena reads {SCAN_BYTES_MAX}; "
            "name fewer columns, or a narrower time range",
        )


def _narrowest(table: Table) -> str:
    order = {"boolean": 0, "int": 1, "date": 1, "long": 2, "timestamp": 2, "timestamptz": 2, "double": 2}
    return min(table.schema().fields, key=lambda field: order.get(str(field.field_type), 9)).name


def _file_bytes(scan: DataScan, file: Any) -> int:
    """Compressed bytes of the columns that are read, by the manifest; the whole file where it does not say."""
    sizes = dict(file.column_sizes or {})
    read = set(scan.projection().field_ids)
    if not sizes:
        return int(file.file_size_in_bytes)
    return sum(size for column, size in sizes.items() if column in read)


def _row_filter(table: Table, use: TableUse, evaluate: Evaluate) -> ice.BooleanExpression:
    filters: ice.BooleanExpression = ice.AlwaysTrue()
    names = {field.name.lower(): field.name for field in table.schema().fields}
    for condition in use.conditions:
        name = names.get(condition.this.name.lower())
        if name is None:
            continue
        # What Iceberg cannot express, or compare with this column's type, DuckDB filters.
        with contextlib.suppress(QueryFailedError, TypeError, ValueError, NotImplementedError):
            candidate = _iceberg_condition(name, condition, evaluate)
            bind(table.schema(), candidate, case_sensitive=True)
            filters = ice.And(filters, candidate)
    return filters


def _iceberg_condition(name: str, condition: exp.Expr, evaluate: Evaluate) -> ice.BooleanExpression:
    term = ice.Reference(name)
    if isinstance(condition, exp.Between):
        low, high = (evaluate(condition.args[end]) for end in ("low", "high"))
        return ice.And(_COMPARISONS[exp.GTE](term, low), _COMPARISONS[exp.LTE](term, high))
    if isinstance(condition, exp.In):
        either: ice.BooleanExpression = ice.AlwaysFalse()
        for each in condition.expressions:
            either = ice.Or(either, _COMPARISONS[exp.EQ](term, evaluate(each)))
        return either
    comparison: ice.BooleanExpression = _COMPARISONS[type(condition)](term, evaluate(condition.expression))
    return comparison


def _partition_expression(keys: Sequence[tuple[str, str]], use: TableUse) -> str:
    names = {name for name, _ in keys}
    chosen = []
    for condition in use.conditions:
        if condition.this.name.lower() in names:
            bare = condition.copy()
            bare.this.set("table", None)
            chosen.append(bare)
    return exp.and_(*chosen).sql(dialect="hive") if chosen else ""


def _files(system: Any, location: str) -> list[str]:
    """Files with data under a location; what lies in a folder with a hidden name is hidden too, as in Athena."""
    folder = location.split("://", 1)[1].rstrip("/")
    selector = fs.FileSelector(folder, recursive=True, allow_not_found=True)
    found = [each.path for each in system.get_file_info(selector) if each.type == fs.FileType.File and each.size]
    return sorted(
        path for path in found if not any(part.startswith(("_", ".")) for part in path[len(folder) :].split("/"))
    )


def _read_parquet(system: Any, path: str, wanted: Sequence[tuple[str, str]]) -> tuple[Any, int]:
    """The wanted columns of one file, cast to the registered types; absent ones are null, as in Athena."""
    try:
        with pq.ParquetFile(path, filesystem=system) as file:
            present = {name.lower(): name for name in file.schema_arrow.names}
            chosen = [present[name] for name, _ in wanted if name in present]
            rows = file.read(columns=chosen)
            size = sum(
                group.column(number).total_compressed_size
                for group in (file.metadata.row_group(index) for index in range(file.metadata.num_row_groups))
                for number in range(group.num_columns)
                if group.column(number).path_in_schema.split(".")[0] in chosen
            )
            count = file.metadata.num_rows
        arrays = [
            rows.column(present[name]).cast(arrow_type(kind)) if name in present else pa.nulls(count, arrow_type(kind))
            for name, kind in wanted
        ]
    except (OSError, pa.ArrowException) as error:
        raise QueryFailedError("HIVE_BAD_DATA", f"s3://{path}: {error}") from None
    fields = [pa.field(name, arrow_type(kind)) for name, kind in wanted]
    if not fields:
        return pa.table({"_row": pa.nulls(count)}), size
    return pa.table(arrays, schema=pa.schema(fields)), size


def _lower_names(rows: Any) -> Any:
    return rows.rename_columns([name.lower() for name in rows.column_names])
