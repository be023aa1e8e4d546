"""The stream's checkpoint: which Kafka it belongs to, and what Spark wrote into it from a Kafka that was not there.

Spark writes the ends of a batch to `offsets/<n>` before it runs the batch, and to `commits/<n>` after. A broker that
answers with less than was read before (another Kafka on the same port, or one whose log is gone) gets its ends written
too; the batch then fails with "offset was changed", and so does every later query, even when the right Kafka is back.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

from botocore.exceptions import ClientError

from .errors import TerminalError
from .s3 import list_objects, s3_client
from .settings import Storage

_log = logging.getLogger(__name__)

_FORMAT = "v1"
Ends = dict[str, dict[str, int]]
"""Offset after the last record of a batch, by topic and partition."""


def require_cluster(storage: Storage, cluster_id: str, kafka: str) -> None:
    """The checkpoint's offsets are of this Kafka cluster; the first cluster that is seen is written down.

    Without this a foreign Kafka with longer logs would be read from the offsets of ours, silently.

    Raises:
        TerminalError: another cluster answers at the address `kafka`.
    """
    client, key = s3_client(storage), f"{storage.checkpoint_prefix}/kafka-cluster-id"
    try:
        known = client.get_object(Bucket=storage.bucket, Key=key)["Body"].read().decode()
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        client.put_object(Bucket=storage.bucket, Key=key, Body=cluster_id.encode())
        return
    if known != cluster_id:
        raise TerminalError(
            f"Kafka at {kafka} is another cluster ({cluster_id}) than the lake was filled from ({known}). Give the "
            "address of the first one, or start over with `smartcity down --wipe`, which removes topics, checkpoint "
            "and tables together."
        )


def forget_impossible_batch(storage: Storage) -> int | None:
    """Remove the newest batch from the checkpoint if it was planned, not committed, and ends before it begins.

    Such a batch can never run, so nothing of it is in a table. Call only while no query runs on the checkpoint. Where
    Kafka really has lost records, the next query plans such a batch again, and fails again.

    Returns:
        Its number; None if the newest batch is possible, or committed.
    """
    planned = sorted(_batches(storage, "offsets"))
    if len(planned) < 2 or planned[-1] in set(_batches(storage, "commits")):
        return None
    begins, ends = (_read_ends(storage, number) for number in planned[-2:])
    if not _falls_behind(begins, ends):
        return None
    s3_client(storage).delete_object(Bucket=storage.bucket, Key=f"{storage.checkpoint_prefix}/offsets/{planned[-1]}")
    _log.warning(
        "batch %d was planned while Kafka told less than had been read from it; it never ran: planning it again",
        planned[-1],
    )
    return planned[-1]


def _batches(storage: Storage, part: str) -> Iterator[int]:
    prefix = f"{storage.checkpoint_prefix}/{part}/"
    for item in list_objects(storage, prefix):
        name = item["Key"].removeprefix(prefix)
        if name.isdecimal():
            yield int(name)


def _read_ends(storage: Storage, number: int) -> Ends:
    key = f"{storage.checkpoint_prefix}/offsets/{number}"
    text = s3_client(storage).get_object(Bucket=storage.bucket, Key=key)["Body"].read().decode()
    version, _metadata, *sources = text.splitlines()
    if version != _FORMAT or len(sources) != 1:
        raise TerminalError(f"s3://{storage.bucket}/{key} is not the offsets of one Kafka source in Spark's format v1")
    ends: Ends = json.loads(sources[0])
    return ends


def _falls_behind(begins: Ends, ends: Ends) -> bool:
    return any(
        ends.get(topic, {}).get(partition, offset) < offset
        for topic, partitions in begins.items()
        for partition, offset in partitions.items()
    )
