"""The jars Spark needs beside its own: the single list that set-up fetches, containers copy and the session loads.

Each is fetched by itself, without its dependencies, because the whole set is named here. `iceberg-aws-bundle` carries
the AWS SDK's classes for `hadoop-aws` too, which spares `software.amazon.awssdk:bundle` (641 MB).
`spark-token-provider-kafka` exists in a complete form only for Spark 4.0.0, which pins Spark itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import JarsMissingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One artifact of Maven Central."""

    group: str
    artifact: str
    version: str

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


TRANSITIVE = False
"""The set is complete: whoever fetches it must not resolve dependencies of its members."""

EXCLUDED = ("software.amazon.awssdk:bundle",)
"""What `hadoop-aws` would bring, for tools that can only resolve transitively."""

SPARK_JARS = (
    Jar(group="org.apache.spark", artifact="spark-sql-kafka-0-10_2.13", version="4.0.0"),
    Jar(group="org.apache.spark", artifact="spark-token-provider-kafka-0-10_2.13", version="4.0.0"),
    Jar(group="org.apache.kafka", artifact="kafka-clients", version="3.9.0"),
    Jar(group="org.apache.commons", artifact="commons-pool2", version="2.12.0"),
    Jar(group="org.apache.hadoop", artifact="hadoop-aws", version="3.4.1"),
    Jar(group="org.apache.iceberg", artifact="iceberg-spark-runtime-4.0_2.13", version="1.11.0"),
    Jar(group="org.apache.iceberg", artifact="iceberg-aws-bundle", version="1.11.0"),
    Jar(group="software.amazon.awssdk", artifact="s3-transfer-manager", version="2.44.4"),
)

CLASS_ARCHIVE = "classes.jsa"
"""In the folder of the jars, where set-up made one: class_archive.py."""


def require_jars(folder: Path) -> list[Path]:
    """Paths of all jars.

    Raises:
        JarsMissingError: one is not in the folder.
    """
    paths = [folder / jar.file_name for jar in SPARK_JARS]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise JarsMissingError(f"{folder} lacks {', '.join(missing)}. Fetch Spark's jars with `smartcity setup`.")
    return paths
