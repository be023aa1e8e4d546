"""What killed writers leave on S3 beside the tables, and no reader ever looks at.

- In the checkpoint: Spark writes `.<name>.<uuid>.tmp`, then renames it (on S3: copies and deletes). Killed between, it
  leaves the temporary object. Batches that are done with it removes by itself (`minBatchesToRetain`).
- Multipart uploads that were never completed: invisible, and billed.

Files of a table that no snapshot names are `maintain.remove_orphans`' part.
"""

from __future__ import annotations

import re
from datetime import datetime

from .s3 import list_objects, s3_client
from .settings import Storage

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.TID\d+)?\.tmp")


def remove_temporary(storage: Storage, older_than: datetime) -> list[str]:
    """Delete the checkpoint's temporary objects that are older; their keys."""
    client, removed = s3_client(storage), []
    for item in list_objects(storage, f"{storage.checkpoint_prefix}/"):
        if _TEMPORARY.fullmatch(item["Key"].rpartition("/")[2]) and item["LastModified"] < older_than:
            client.delete_object(Bucket=storage.bucket, Key=item["Key"])
            removed.append(item["Key"])
    return removed


def abort_uploads(storage: Storage, older_than: datetime) -> list[str]:
    """Abort the bucket's multipart uploads that were begun earlier; the keys that they were for."""
    client, aborted = s3_client(storage), []
    for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=storage.bucket):
        for upload in page.get("Uploads", []):
            if upload["Initiated"] < older_than:
                client.abort_multipart_upload(Bucket=storage.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                aborted.append(upload["Key"])
    return aborted
