"""What a crawl sees in S3: every table's folder with its partitions, their schemas, and how much they hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .listing import DataObject, Folder, folders, objects
from .schema import Columns, footer, known, merged

Known = Callable[[Folder], Collection[tuple[str, ...]]]
"""Partition values of a folder that a crawl of new folders only leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Objects, rows by their footers (estimated by size where footers were sampled), bytes."""

    objects: int
    rows: int
    size: int

    def __add__(self, other: Amount) -> Amount:
        return Amount(objects=self.objects + other.objects, rows=self.rows + other.rows, size=self.size + other.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPartition:
    """One partition; of a table without partition keys the only one, with no values."""

    values: tuple[str, ...]
    location: str
    columns: Columns
    amount: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTable:
    """One table's folder. `present` are the values of all partitions in S3, `partitions` those that were read."""

    location: str
    keys: tuple[str, ...]
    columns: Columns
    partitions: Sequence[SeenPartition]
    present: Collection[tuple[str, ...]]


def observe(
    targets: Sequence[Mapping[str, Any]], *, s3: Any, system: Any, skip: Known, check: Callable[[], None]
) -> list[SeenTable]:
    """List the targets, and read the footers. `check` raises if the crawl was stopped.

    Raises:
        CrawlError: something cannot be read, or makes no table; see `crawl_listing` and `crawl_schema`.
    """
    found: dict[str, DataObject] = {}
    sample: dict[str, int | None] = {}
    for target in targets:
        for each in objects(s3, target):
            found[each.location] = each
            sample[each.location] = target.get("SampleSize")
        check()
    return [_table(folder, sample, system=system, skip=skip, check=check) for folder in folders(found.values())]


def _table(
    folder: Folder, sample: Mapping[str, int | None], *, system: Any, skip: Known, check: Callable[[], None]
) -> SeenTable:
    left_out = skip(folder)
    partitions = []
    schemas: list[Columns] = []
    for values, held in sorted(folder.objects.items()):
        if values in left_out:
            continue
        read = held[: sample[held[0].location]]
        footers = []
        for each in read:
            check()
            footers.append(footer(system, each))
        place = folder.places[values]
        columns = merged([each.columns for each in footers], where=place)
        schemas.append(columns)
        size = sum(each.size for each in held)
        rows = round(sum(each.rows for each in footers) * size / sum(each.size for each in read))
        amount = Amount(objects=len(held), rows=rows, size=size)
        partitions.append(SeenPartition(values=values, location=place, columns=known(columns), amount=amount))
    return SeenTable(
        location=folder.location,
        keys=folder.keys,
        columns=known(merged(schemas, where=folder.location)),
        partitions=partitions,
        present=folder.objects.keys(),
    )
