"""Over which days of event time a table's rows lie, and the marts' files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from botocore.exceptions import BotoCoreError, ClientError

from smartcity.contracts.marts import MARTS, PARTITION_COLUMN, Mart

from .errors import TransientError
from .partitions import count_days
from .s3 import list_objects
from .settings import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """How many days have rows, and the first and last of them; None where there are none."""

    days: int = 0
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MartFiles:
    """One mart's files: one a day."""

    mart: str
    days: Days
    bytes: int
    built_at: datetime | None
    """When the newest of them was written."""


def spread(days: Iterable[date]) -> Days:
    found = sorted(set(days))
    return Days(days=len(found), first=found[0], last=found[-1]) if found else Days()


def table_days(storage: Storage, metadata_location: str) -> Days:
    """The days of a table's current snapshot.

    Raises:
        TransientError: its manifests cannot be read.
    """
    return spread(count_days(storage, metadata_location))


def mart_files(storage: Storage) -> list[MartFiles]:
    """All marts, in the contract's order.

    Raises:
        TransientError: S3 does not answer, or refuses.
    """
    try:
        return [_mart(storage, mart) for mart in MARTS]
    except (BotoCoreError, ClientError) as error:
        raise TransientError(f"cannot list the marts of {storage.bucket}: {error}") from error


def _mart(storage: Storage, mart: Mart) -> MartFiles:
    found = [one for one in list_objects(storage, mart.prefix) if one["Key"].endswith(f"/{mart.name}.parquet")]
    start = len(f"{mart.prefix}{PARTITION_COLUMN}=")
    return MartFiles(
        mart=mart.name,
        days=spread(date.fromisoformat(one["Key"][start : start + 10]) for one in found),
        bytes=sum(one["Size"] for one in found),
        built_at=max((one["LastModified"] for one in found), default=None),
    )
