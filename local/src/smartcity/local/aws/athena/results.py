"""Athena's result files in S3: written once a query has run, and read back for every page of GetQueryResults."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any

import botocore.exceptions

from ..errors import AwsError, QueryFailedError

RESULT_BYTES_MAX = 1024**3
_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|)(,|\n)')

Row = tuple[str | None, ...]


def split_location(location: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of `s3://bucket/key`."""
    match = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", location)
    if match is None:
        raise AwsError("InvalidRequestException", f"outputLocation is not a valid S3 path: {location!r}")
    return match[1], match[2] or ""


class Results:
    """Writes and reads result files with an S3 client."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._cached = functools.lru_cache(maxsize=8)(self._read)

    def write(self, location: str, header: Sequence[str] | None, rows: Iterable[Row]) -> int:
        """Write rows as CSV (with a header, SELECT) or as tab-separated text (without); returns the bytes written."""
        parts, size = [], 0
        for row in ([tuple(header)] if header is not None else []) + list(rows):
            line = _csv(row) if header is not None else _text(row)
            parts.append(line)
            size += len(line)
            if size > RESULT_BYTES_MAX:
                raise QueryFailedError("EXCEEDED_LOCAL_MEMORY_LIMIT", f"the result is larger than {RESULT_BYTES_MAX} B")
        bucket, key = split_location(location)
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=b"".join(parts), ContentType="application/octet-stream")
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
            raise QueryFailedError("PERMISSION_DENIED", f"cannot write the result to {location}: {error}") from None
        return size

    def read(self, location: str, *, is_csv: bool) -> list[Row]:
        """All rows of a result file, the header first where there is one."""
        return self._cached(location, is_csv)

    def _read(self, location: str, is_csv: bool) -> list[Row]:
        bucket, key = split_location(location)
        try:
            text = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
            raise AwsError("InvalidRequestException", f"Could not find results at {location}: {error}") from None
        return _parse(text) if is_csv else [tuple(line.split("\t")) for line in text.split("\n")[:-1]]


def _csv(row: Row) -> bytes:
    """Every value quoted; null is nothing at all, and so differs from an empty string."""
    quoted = ("" if value is None else '"' + value.replace('"', '""') + '"' for value in row)
    return (",".join(quoted) + "\n").encode()


def _text(row: Row) -> bytes:
    return ("\t".join(value or "" for value in row) + "\n").encode()


def _parse(text: str) -> list[Row]:
    rows: list[Row] = []
    row: list[str | None] = []
    for match in _FIELD.finditer(text):
        value = match[1]
        row.append(value if value is None else value.replace('""', '"'))
        if match[2] == "\n":
            rows.append(tuple(row))
            row = []
    return rows
