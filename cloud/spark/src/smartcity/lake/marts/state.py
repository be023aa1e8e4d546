"""What each day of a mart was computed from, kept in one object beside the marts.

It lies outside `marts/`, which crawlers read. Without it every day is built again, to the same rows: it spares work
and holds nothing that could be lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from botocore.exceptions import ClientError

from ..errors import TransientError
from .recipe import Recipe
from .touched import Fingerprint

STALE: Fingerprint = {"stale": []}
"""Equal to no day's fingerprint: the day is known, and to be built."""

_FORGET_ATTEMPTS_MAX = 5
_ABSENT = {"NoSuchKey", "404"}
_CONFLICT = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409", *_ABSENT}


class State:
    """A mart's days as this run read or wrote them last. `client` is boto3's for S3."""

    def __init__(self, client: Any, bucket: str, recipe: Recipe) -> None:
        self._client = client
        self._recipe = recipe
        self._place = {"Bucket": bucket, "Key": f"checkpoints/marts/{recipe.mart.name}.json"}
        self._etag: str | None = None
        self.days: dict[date, Fingerprint] = {}
        self.read()

    def read(self) -> None:
        """As it is now; empty where there is none."""
        try:
            answer = self._client.get_object(**self._place)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ABSENT:
                raise
            self._etag, self.days = None, {}
            return
        self._etag, self.days = answer["ETag"], read_days(answer["Body"].read(), self._recipe.revision)

    def remember(self, day: date, of: Fingerprint) -> None:
        """Write that the day's file was computed from `of`; a day that came from nothing need not be known any more.

        Raises:
            TransientError: another run has written since this one read. Which of the two made this day's file last is
                not known then, so the day is left to be built again.
        """
        if of:
            self.days[day] = of
        else:
            self.days.pop(day, None)
        if self._write():
            return
        for _ in range(_FORGET_ATTEMPTS_MAX):
            self.read()
            self.days[day] = STALE
            if self._write():
                break
        name = self._recipe.mart.name
        raise TransientError(
            f"another run of `smartcity-lake marts` is building {name}: let one run at a time, and then build this day "
            f"again with --only {name} --from {day} --to {day}"
        )

    def _write(self) -> bool:
        """Whether it was written: only if nobody else has since it was read."""
        condition = {"IfNoneMatch": "*"} if self._etag is None else {"IfMatch": self._etag}
        body = write_days(self.days, self._recipe.revision)
        try:
            answer = self._client.put_object(**self._place, **condition, Body=body, ContentType="application/json")
        except ClientError as error:
            if error.response["Error"]["Code"] in _CONFLICT:
                return False
            raise
        self._etag = answer["ETag"]
        return True


def write_days(days: Mapping[date, Fingerprint], revision: str) -> bytes:
    """The object's content."""
    by_name = {day.isoformat(): days[day] for day in sorted(days)}
    return json.dumps({"revision": revision, "days": by_name}, indent=1).encode()


def read_days(content: bytes, revision: str) -> dict[date, Fingerprint]:
    """The days in the object's content. Those that another revision made are known, since their files are there, but
    stale. Content that is no state is as none.
    """
    try:
        document: Mapping[str, Any] = json.loads(content)
        days = {date.fromisoformat(day): dict(of) for day, of in document["days"].items()}
        return days if document["revision"] == revision else dict.fromkeys(days, STALE)
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
