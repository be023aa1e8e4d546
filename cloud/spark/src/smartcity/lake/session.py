"""The Spark session: master, jars, the Iceberg catalog `lake` (Glue and S3), S3A for the checkpoint."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from .jars import CLASS_ARCHIVE, require_jars
from .settings import SUBMITTED, Executors, Settings, Storage

CATALOG = "lake"

# Generated code needs room. Most objects live as long as a record is on its way: a large part for the young spares
# copying them. With both of the JVM's compilers a warm batch takes half the CPU of one, so neither is switched off.
_JVM_OPTIONS = (
    "-Duser.timezone=UTC -XX:+UseSerialGC -XX:NewRatio=1 -XX:ReservedCodeCacheSize=256m -Xss2m "
    # Five times Java's own: a batch's planning runs a few times a batch, so to optimise it costs more than it gives.
    "-XX:Tier4InvocationThreshold=25000 -XX:Tier4MinInvocationThreshold=3000 -XX:Tier4CompileThreshold=75000"
)

_OF_SUBMIT = ("spark.driver.memory", "spark.driver.extraJavaOptions", "spark.ui.enabled")
"""What spark-submit has said before the driver's JVM began."""


def start_session(settings: Settings) -> SparkSession:
    """A session with everything of this module configured.

    Raises:
        JarsMissingError: see `require_jars`.
    """
    builder = SparkSession.builder.appName("smartcity-lake")
    if settings.master != SUBMITTED:
        # Workers must run the Python that runs this, or they lack boto3 and the contract.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = builder.master(settings.master)
    for name, value in spark_conf(settings).items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("WARN")
    return session


def spark_conf(settings: Settings) -> dict[str, str]:
    """Spark's configuration as plain pairs."""
    local = settings.master.startswith("local")
    submitted = settings.master == SUBMITTED
    conf = {
        **({} if submitted else _jars(require_jars(settings.jars), local=local)),
        **_catalog(settings.storage),
        **_s3a(settings.storage),
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.extraJavaOptions": _JVM_OPTIONS + (_class_sharing(settings.jars) if local else ""),
        "spark.ui.enabled": str(settings.ui_port is not None).lower(),
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        # A batch is small, so its cost is the number of tasks rather than the rows in them.
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.sql.adaptive.enabled": "false",
        # Batches are cached for seconds: to find out how to compress them takes longer than that saves.
        "spark.sql.inMemoryColumnarStorage.compressed": "false",
        # A batch runs some hundred generated classes; what does not stay here is compiled again for every batch.
        "spark.sql.codegen.cache.maxEntries": "2000",
        "spark.sql.streaming.minBatchesToRetain": "20",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        **({"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"} if local else {}),
        **({} if local or submitted else _executors(settings.executors)),
        **({} if settings.ui_port is None else {"spark.ui.port": str(settings.ui_port)}),
    }
    return {name: value for name, value in conf.items() if not (submitted and name in _OF_SUBMIT)}


def _class_sharing(jars: Path) -> str:
    """The archive beside the jars, where set-up made one; it fits this class path alone."""
    archive = jars.resolve() / CLASS_ARCHIVE
    return " " + shlex.quote(f"-XX:SharedArchiveFile={archive}") if archive.is_file() else ""


def _executors(executors: Executors) -> dict[str, str]:
    conf = {
        "spark.executor.memory": executors.memory,
        "spark.executor.cores": str(executors.cores),
        "spark.executor.extraJavaOptions": _JVM_OPTIONS,
    }
    if executors.cores_max is not None:
        conf["spark.cores.max"] = conf["spark.default.parallelism"] = str(executors.cores_max)
    return conf


def _jars(paths: list[Path], *, local: bool) -> dict[str, str]:
    """On one machine the class path is enough; `spark.jars` would copy all of them at every start."""
    if local:
        return {"spark.driver.extraClassPath": ":".join(str(path.resolve()) for path in paths)}
    return {"spark.jars": ",".join(str(path.resolve()) for path in paths)}


def _catalog(storage: Storage) -> dict[str, str]:
    prefix = f"spark.sql.catalog.{CATALOG}"
    conf = {
        prefix: "org.apache.iceberg.spark.SparkCatalog",
        f"{prefix}.catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
        f"{prefix}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        f"{prefix}.warehouse": storage.warehouse,
        f"{prefix}.client.region": storage.region,
        # foreachBatch runs in a cloned session: a cached table there would hide commits of its predecessor.
        f"{prefix}.cache-enabled": "false",
    }
    if storage.endpoint:
        conf[f"{prefix}.glue.endpoint"] = storage.endpoint
    if storage.s3_endpoint:
        conf[f"{prefix}.s3.endpoint"] = storage.s3_endpoint
        conf[f"{prefix}.s3.path-style-access"] = "true"
    return conf


def _s3a(storage: Storage) -> dict[str, str]:
    prefix = "spark.hadoop.fs.s3a"
    conf = {
        f"{prefix}.endpoint.region": storage.region,
        f"{prefix}.aws.credentials.provider": "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider",
    }
    if storage.s3_endpoint:
        conf[f"{prefix}.endpoint"] = storage.s3_endpoint
        conf[f"{prefix}.path.style.access"] = "true"
        conf[f"{prefix}.connection.ssl.enabled"] = str(storage.s3_endpoint.startswith("https")).lower()
    return conf
