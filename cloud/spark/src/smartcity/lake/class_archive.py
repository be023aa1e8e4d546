"""Class data sharing: an archive of the classes that a driver loads, which spares it half of its start.

Without it a JVM reads, checks and links over ten thousand classes at each start of Spark; with it they are mapped. The
JVM looks by itself whether an archive fits its version and the size and time of every jar, and does without if not.

`python -m smartcity.lake.class_archive JARS ARCHIVE` makes one; `smartcity setup` calls it.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession

from .session import start_session
from .settings import DEFAULT_BUCKET, DEFAULT_REGION, Settings, Storage

TABLE = "practice.smartcity.readings"


def main() -> None:
    """The JVM writes the archive as it ends, which is after this process: it still holds stdout and stderr then."""
    jars, archive = map(Path, sys.argv[1:])
    storage = Storage(bucket=DEFAULT_BUCKET, region=DEFAULT_REGION)
    os.environ["SPARK_SUBMIT_OPTS"] = shlex.quote(f"-XX:ArchiveClassesAtExit={archive}")
    spark = start_session(Settings(kafka="unused", storage=storage, jars=jars))
    with tempfile.TemporaryDirectory(prefix="smartcity-practice-") as folder:
        practise(spark, folder)
    spark.stop()


def practise(spark: SparkSession, folder: str) -> None:
    """A table made, filled and asked, in a catalog of its own that is a folder."""
    catalog = f"spark.sql.catalog.{TABLE.partition('.')[0]}"
    spark.conf.set(catalog, "org.apache.iceberg.spark.SparkCatalog")
    spark.conf.set(f"{catalog}.type", "hadoop")
    spark.conf.set(f"{catalog}.warehouse", folder)
    spark.sql(f"CREATE TABLE {TABLE} (id BIGINT, device STRING, at TIMESTAMP) USING iceberg PARTITIONED BY (days(at))")
    rows = spark.range(100).selectExpr("id", "concat('car-', id % 7) AS device", "timestamp_seconds(id) AS at")
    rows.writeTo(TABLE).append()
    spark.sql(f"SELECT device, count(*), max(at) FROM {TABLE} GROUP BY device ORDER BY device").collect()


if __name__ == "__main__":
    main()
