"""The days of a table's current snapshot, counted without Spark: from Glue's pointer through Iceberg's manifests.

No data is read: a manifest tells each file's partition and records. It costs one S3 request per manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from botocore.exceptions import BotoCoreError, ClientError

from .errors import TerminalError, TransientError
from .settings import Storage

DAY_SUFFIX = "_day"
"""Iceberg names the field of a `days(column)` partition `<column>_day`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """One day of a table: data files, their records, and records that delete files take away again."""

    files: int
    records: int
    deletes: int


def count_days(storage: Storage, metadata_location: str) -> Mapping[date, DayCount]:
    """By day, whatever else the table is partitioned by; empty for a table without rows.

    Raises:
        TransientError: the metadata cannot be read.
        TerminalError: the table is not partitioned by day.
    """
    # Imported here: it takes a second, and every command of `smartcity-lake` passes by this module.
    from pyiceberg.table import StaticTable  # noqa: PLC0415

    try:
        table = StaticTable.from_metadata(metadata_location, storage.pyiceberg())
        field = next((one.name for one in table.spec().fields if one.name.endswith(DAY_SUFFIX)), None)
        if field is None:
            raise TerminalError(f"table of {metadata_location} is not partitioned by the day of a timestamp")
        rows = table.inspect.partitions().to_pylist() if table.current_snapshot() else []
    except (ClientError, BotoCoreError, OSError) as error:
        raise TransientError(f"cannot read {metadata_location} or its manifests: {error}") from error
    found: dict[date, DayCount] = {}
    for row in rows:
        day = row["partition"][field]
        before = found.get(day, DayCount(files=0, records=0, deletes=0))
        deletes = row["position_delete_record_count"] + row["equality_delete_record_count"]
        found[day] = DayCount(
            files=before.files + row["file_count"],
            records=before.records + row["record_count"],
            deletes=before.deletes + deletes,
        )
    return found
