"""What lies under a crawler's S3 target: objects, grouped into tables' folders and Hive partitions (`dt=2026-11-21/`).

A table's folder is the part of a key before its first `name=value` folder; without one, the folder of the object.
Names that begin with `_` or `.`, and empty objects, are no data, as for Athena.
"""

from __future__ import annotations

import functools
import itertools
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import botocore.exceptions

from ..errors import CrawlError

OBJECTS_MAX = 200_000
_HIVE_FOLDER = re.compile(r"([^=/]+)=([^/]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataObject:
    """One object with data; `size` in bytes."""

    bucket: str
    key: str
    size: int

    @property
    def location(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A table's folder (`s3://bucket/marts/journeys/`): partition keys in order, objects by partition values.

    Without partitions `keys` is empty, and the objects are those of the values `()`.
    """

    location: str
    keys: tuple[str, ...]
    objects: Mapping[tuple[str, ...], Sequence[DataObject]]
    places: Mapping[tuple[str, ...], str]


def split_target(path: str) -> tuple[str, str]:
    """Bucket and prefix of a target; the prefix is empty or ends with a slash."""
    match = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", path)
    if match is None:
        raise CrawlError(f"The S3 target {path!r} is not of the form s3://bucket/folder/")
    prefix = (match[2] or "").rstrip("/")
    return match[1], f"{prefix}/" if prefix else ""


def objects(s3: Any, target: Mapping[str, Any]) -> Iterator[DataObject]:
    """Objects with data under a target, those of its exclusions left out.

    Raises:
        CrawlError: the bucket is missing, S3 does not answer, or there are more than OBJECTS_MAX objects.
    """
    bucket, prefix = split_target(target["Path"])
    excluded = [glob(pattern) for pattern in target.get("Exclusions", [])]
    count = 0
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for each in page.get("Contents", []):
                count += 1
                if count > OBJECTS_MAX:
                    raise CrawlError(f"{target['Path']} has more than {OBJECTS_MAX} objects: crawl parts of it")
                inside = each["Key"][len(prefix) :]
                hidden = any(part.startswith(("_", ".")) for part in inside.split("/"))
                if each["Size"] and not hidden and not any(pattern.fullmatch(inside) for pattern in excluded):
                    yield DataObject(bucket=bucket, key=each["Key"], size=each["Size"])
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            raise CrawlError(f"The bucket {bucket} of the target {target['Path']} does not exist") from None
        raise CrawlError(f"{target['Path']} cannot be listed: {error}") from None
    except botocore.exceptions.BotoCoreError as error:
        raise CrawlError(f"{target['Path']} cannot be listed: {error}") from None


def folders(found: Iterable[DataObject]) -> list[Folder]:
    """Group objects into tables' folders, by location.

    Raises:
        CrawlError: a folder's objects are not partitioned alike, or a table's folder lies in another one's.
    """
    by_folder: dict[str, dict[tuple[tuple[str, str], ...], list[DataObject]]] = {}
    places: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
    for each in sorted(found, key=lambda one: (one.bucket, one.key)):
        table, pairs, place = _split_key(each)
        by_folder.setdefault(table, {}).setdefault(pairs, []).append(each)
        known = places.setdefault((table, pairs), place)
        if known != place:
            raise CrawlError(f"{known} and {place} are the same partition: remove one of them")
    _check_nesting(sorted(by_folder))
    return [_folder(location, parts, places) for location, parts in sorted(by_folder.items())]


def _split_key(found: DataObject) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """Location of the table's folder, (key, value) pairs, and location of the partition."""
    parts = found.key.split("/")[:-1]
    first = next((number for number, part in enumerate(parts) if _HIVE_FOLDER.fullmatch(part)), len(parts))
    pairs, end = [], first
    while end < len(parts) and (match := _HIVE_FOLDER.fullmatch(parts[end])):
        pairs.append((match[1].lower(), urllib.parse.unquote(match[2])))
        end += 1
    return _place(found.bucket, parts[:first]), tuple(pairs), _place(found.bucket, parts[:end])


def _place(bucket: str, parts: Sequence[str]) -> str:
    return f"s3://{bucket}/" + "".join(f"{part}/" for part in parts)


def _check_nesting(locations: Sequence[str]) -> None:
    for outer, inner in itertools.pairwise(locations):
        if inner.startswith(outer):
            raise CrawlError(
                f"{outer} holds objects, and so does its folder {inner}: the local crawler makes partitions of "
                "name=value folders only; exclude one of them"
            )


def _folder(
    location: str,
    parts: Mapping[tuple[tuple[str, str], ...], list[DataObject]],
    places: Mapping[tuple[str, tuple[tuple[str, str], ...]], str],
) -> Folder:
    keys = {tuple(key for key, _ in pairs) for pairs in parts}
    if len(keys) > 1:
        forms = " and ".join("/".join(f"{key}=" for key in each) or "no partition" for each in sorted(keys))
        raise CrawlError(f"{location} is not partitioned alike everywhere: {forms}; exclude one of them")
    values = {pairs: tuple(value for _, value in pairs) for pairs in parts}
    return Folder(
        location=location,
        keys=keys.pop(),
        objects={values[pairs]: held for pairs, held in parts.items()},
        places={values[pairs]: places[location, pairs] for pairs in parts},
    )


@functools.cache
def glob(pattern: str) -> re.Pattern[str]:
    """A Glue exclusion as a regular expression: `*` within a folder, `**` across, `?`, `[a-c]`, `[!a]`, `{a,b}`."""
    text, position, depth = "", 0, 0
    while position < len(pattern):
        rest = pattern[position:]
        bracket = re.match(r"\[(!?)([^]/]+)\]", rest)
        if rest.startswith("**"):
            text, position = text + ".*", position + 1
        elif bracket:
            inside = bracket[2].replace("\\", "\\\\")
            text, position = text + f"[{'^' if bracket[1] else ''}{inside}]", position + bracket.end() - 1
        elif rest[0] == "\\" and len(rest) > 1:
            text, position = text + re.escape(rest[1]), position + 1
        else:
            depth += {"{": 1, "}": -1}.get(rest[0], 0)
            simple = {"*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}
            text += "|" if rest[0] == "," and depth else simple.get(rest[0], re.escape(rest[0]))
        position += 1
    try:
        return re.compile(text, re.DOTALL)
    except re.error:
        raise CrawlError(f"The exclusion {pattern!r} is not a pattern") from None
