"""Dead letters sent back, after what refused them was mended: the bridge's to their MQTT topic, the lake's to Kafka.

A letter goes back as it came, with its properties and so with its id: whoever refused it examines it again, and the
lake keeps it once however often it comes. Each message is claimed in the bucket before it is sent (an object that only
one can create), so that a message without an id, which would be another reading at each reception, is not sent twice
either.

The letter itself stays in its table. A message that is refused again becomes another letter of the same key.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError

from .deadletters import Letter
from .s3 import s3_client
from .settings import Storage

CLAIMS_PREFIX = "dead-letters/redriven"
LETTERS_AT_ONCE = 50
"""Sent before their confirmations are waited for: bounds memory, since each may have megabytes."""
_CLAIMED = {"PreconditionFailed", "412", "ConditionalRequestConflict"}

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a letter is not known to be safe, and whether it may have arrived all the same."""

    why: str
    may_have_arrived: bool


class Way(Protocol):
    """Sends letters back. `send` returns when each is safe or has failed: the failures, by the letters' keys."""

    def send(self, letters: Sequence[Letter]) -> dict[str, Failure]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who was first to send a message back, and whether it arrived."""

    begun_at: str
    sent_at: str | None = None


class Claims:
    """The claims on messages, objects under CLAIMS_PREFIX in the lake's bucket."""

    def __init__(self, storage: Storage) -> None:
        self._bucket, self._client = storage.bucket, s3_client(storage)

    def make(self, key: str) -> Claim | None:
        """Claim a message; the earlier claim where there is one. Of several at once, one alone succeeds."""
        body = json.dumps({"begun_at": _now()}).encode()
        try:
            self._client.put_object(Bucket=self._bucket, Key=_object(key), Body=body, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in _CLAIMED:
                raise
            return self._read(key)
        return None

    def confirm(self, key: str) -> None:
        """The message has arrived."""
        body = json.dumps({"begun_at": self._read(key).begun_at, "sent_at": _now()}).encode()
        self._client.put_object(Bucket=self._bucket, Key=_object(key), Body=body)

    def release(self, key: str) -> None:
        """The message has certainly not arrived: it is nobody's any more."""
        self._client.delete_object(Bucket=self._bucket, Key=_object(key))

    def _read(self, key: str) -> Claim:
        body: Any = self._client.get_object(Bucket=self._bucket, Key=_object(key))["Body"].read()
        return Claim(**json.loads(body))


def redrive(
    letters: Iterable[Letter], ways: Mapping[str, Way], claims: Claims, *, again: bool, progress: Progress
) -> Counter[str]:
    """Send the letters back, each message once, and count what became of them.

    `again` sends also what was sent before: after another fix, say. `ways` has a way for each value of `refused_by`.
    What counts as `failed` was not confirmed: the next run sends it again, if it has an id.

    Raises:
        ClientError, BotoCoreError: the bucket cannot be reached.
    """
    counts: Counter[str] = Counter()
    seen: set[str] = set()
    new: set[str] = set()
    waiting: dict[str, list[Letter]] = {name: [] for name in ways}
    for letter in letters:
        if letter.key in seen:
            counts["repeated"] += 1
            continue
        seen.add(letter.key)
        refused = _refusal(letter, claims, new, again=again)
        if refused is not None:
            outcome, why = refused
            counts[outcome] += 1
            progress(f"{letter.place} {outcome}: {why}")
            continue
        mine = waiting[letter.refused_by]
        mine.append(letter)
        if len(mine) == LETTERS_AT_ONCE:
            counts += _send(mine, new, ways[letter.refused_by], claims, progress)
            mine.clear()
    for name, mine in waiting.items():
        counts += _send(mine, new, ways[name], claims, progress)
    return counts


def _refusal(letter: Letter, claims: Claims, new: set[str], *, again: bool) -> tuple[str, str] | None:
    """Outcome and reason where a letter is not to be sent; None where it is, and is claimed."""
    obstacle = letter.obstacle()
    if obstacle is not None:
        return "impossible", obstacle
    earlier = claims.make(letter.key)
    if earlier is None:
        new.add(letter.key)
    if earlier is None or again:
        return None
    if earlier.sent_at is not None:
        return "already", f"sent back at {earlier.sent_at}; --again sends it once more"
    if letter.id is None:
        return "unclear", (
            f"begun at {earlier.begun_at} and not confirmed; it has no id, so sending it once more could make another "
            "reading: look for it in the lake, then use --again"
        )
    return None


def _send(  # `new` are the keys that no earlier run had claimed.
    letters: Sequence[Letter], new: Container[str], way: Way, claims: Claims, progress: Progress
) -> Counter[str]:
    if not letters:
        return Counter()
    failures = way.send(letters)
    for letter in letters:
        failure = failures.get(letter.key)
        if failure is None:
            claims.confirm(letter.key)
            continue
        progress(f"{letter.place} failed: {failure.why}")
        if not failure.may_have_arrived and letter.key in new:
            claims.release(letter.key)
    progress(f"sent {len(letters) - len(failures)} of {len(letters)}")
    return Counter(sent=len(letters) - len(failures), failed=len(failures))


def _object(key: str) -> str:
    return f"{CLAIMS_PREFIX}/{key}.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
