"""The auditor put to the proof: four records of the real lake are spoiled, and the audit must report each.

Data files are rewritten in place on S3, below Iceberg: its metadata still say what they said.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config
from pyiceberg.catalog.glue import GlueCatalog

from smartcity.contracts.tables import DATABASE
from smartcity.local.verify.audit import Scope, audit
from smartcity.local.verify.lake import Lake, LakeAccess

EXPECTED = {"lost": 1, "duplicated": 1, "altered": 2}
ROWS_MIN = 3
"""One to drop, one to double, one to alter."""


def tamper(environment: Mapping[str, str], catalog: GlueCatalog) -> frozenset[str]:
    """Drops one row of `gps`, doubles another, alters a third by a tenth, and flips one byte of a camera's frame.

    Returns the boots that these belong to.
    """
    s3 = boto3.client(
        "s3",
        region_name=environment["AWS_REGION"],
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )
    files = [task.file for task in catalog.load_table((DATABASE, "gps")).scan().plan_files()]
    path = next(file.file_path for file in files if file.record_count >= ROWS_MIN)
    bucket, _, key = path.removeprefix("s3://").partition("/")
    rows = pq.read_table(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
    written = io.BytesIO()
    pq.write_table(_spoiled(rows), written)
    s3.put_object(Bucket=bucket, Key=key, Body=written.getvalue())

    cameras = catalog.load_table((DATABASE, "camera")).scan(selected_fields=("id", "snapshot")).to_arrow().to_pylist()
    # A frame may stand in several rows, if two cameras saw the same: one that stands in one row only is wanted.
    names = [camera["snapshot"] for camera in cameras]
    camera = next(camera for camera in cameras if names.count(camera["snapshot"]) == 1)
    frame = bytearray(s3.get_object(Bucket=bucket, Key=camera["snapshot"])["Body"].read())
    frame[len(frame) // 2] ^= 1
    s3.put_object(Bucket=bucket, Key=camera["snapshot"], Body=bytes(frame))
    ids = [*rows.column("id").to_pylist()[:ROWS_MIN], camera["id"]]
    return frozenset(identity.partition(".")[0] for identity in ids)


def audit_of_tampered(environment: Mapping[str, str], catalog: GlueCatalog, folder: Path) -> dict[str, Any]:
    """Tampers, audits the boots concerned, and returns what was expected and what was found."""
    boots = tamper(environment, catalog)
    scope = Scope(folders=(folder,), boots=tuple(sorted(boots)))
    found = audit(Lake(LakeAccess.from_environment(environment)), scope).document()
    return {"expected": EXPECTED, "found": {name: found[name] for name in EXPECTED}}


def _spoiled(rows: pa.Table) -> pa.Table:
    altered = rows.slice(2, 1)
    place = rows.schema.get_field_index("latitude")
    value = pa.array([altered.column("latitude")[0].as_py() + 0.1], type=rows.schema.field(place).type)
    altered = altered.set_column(place, rows.schema.field(place), value)
    return pa.concat_tables([rows.slice(1, 1), rows.slice(1, 1), altered, rows.slice(ROWS_MIN)])
