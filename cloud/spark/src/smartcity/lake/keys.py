"""What tells a batch's records apart, brought to the driver: their ids, their times, and where in Kafka they stood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as fn

from smartcity.contracts.envelope import BOOT_CHARACTERS, BOOT_ID_PATTERN

from .seen import Flags, Ids, Integers
from .tables import DEAD_LETTERS

DAY_US = 86_400 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """A row per record: `table`, `device_id`, `id`, `partition`, `offset`, its time and the one that Kafka has of it as
    `us` and `kafka_us` since 1970 UTC."""

    rows: pa.Table

    def where(self, flags: Flags) -> Keys:
        return Keys(rows=self.rows.filter(pa.array(flags)))

    def readings(self) -> Keys:
        """Those that are no dead letters."""
        return Keys(rows=self.rows.filter(pc.not_equal(self.rows["table"], DEAD_LETTERS.name)))

    def of_table(self, name: str) -> Keys:
        return Keys(rows=self.rows.filter(pc.equal(self.rows["table"], name)))

    def counts(self) -> dict[str, int]:
        """Records by table."""
        found = pc.value_counts(self.rows["table"]).to_pylist()
        return {one["values"]: one["counts"] for one in found}

    def microseconds(self) -> Integers:
        return np.asarray(self.rows["us"], dtype=np.int64)

    def kafka_microseconds(self) -> Integers:
        return np.asarray(self.rows["kafka_us"], dtype=np.int64)

    def ids(self) -> Ids:
        """The ids as numbers, of records that are no dead letters. Those of foreign messages have another form."""
        text = self.rows["id"].combine_chunks()
        numbered = pc.match_substring_regex(text, f"^{BOOT_ID_PATTERN}$")
        boots = pc.dictionary_encode(pc.utf8_slice_codeunits(text, 0, BOOT_CHARACTERS))
        sequences = pc.if_else(numbered, pc.utf8_slice_codeunits(text, BOOT_CHARACTERS + 1, 64), "0")
        return Ids(
            boots=np.where(np.asarray(numbered), np.asarray(boots.indices, dtype=np.int64), -1),
            names=boots.dictionary.to_pylist(),
            sequences=np.asarray(sequences.cast(pa.int64())),
            days=self.microseconds() // DAY_US,
        )


def collect_keys(parsed: DataFrame) -> Keys:
    """One small job, which also fills the cache of `parsed`. About 90 bytes a record come to the driver."""
    received = fn.coalesce(fn.when(fn.col("refusal").isNull(), fn.col("bridged_at")), fn.col("kafka_at"))
    time = fn.when(fn.col("table") == DEAD_LETTERS.name, received).otherwise(fn.col("event_time"))
    times = fn.unix_micros(time).alias("us"), fn.unix_micros("kafka_at").alias("kafka_us")
    keys = parsed.select("table", "device_id", "id", "partition", "offset", *times)
    return Keys(rows=keys.toArrow())
