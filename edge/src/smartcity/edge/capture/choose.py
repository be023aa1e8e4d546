"""Which messages of a capture are replayed, and under which topic.

Never those that speak for others: receipts (the bridge's word about what Kafka has), a device's status (it is not
there), and `$` topics (the broker's own). A replayed receipt would make a device forget what nobody has. Nor those
whose topic MQTT does not allow, as a file written by hand may hold them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from smartcity.contracts.limits import DEVICE_NAME_PATTERN
from smartcity.contracts.topics import DEVICES_FILTER, STATUS_LEAF, parse_device_topic, receipt_topic

from .errors import CaptureError

RECEIPTS, STATUS, BROKER_TOPICS, NO_TOPIC, OTHER = (
    "receipts",
    "status messages",
    "topics of the broker",
    "with a topic that nobody may publish on",
    "not asked for by --topic",
)
TOPICS_KEPT_MAX = 200_000
TOPIC_BYTES_MAX = 65_535
_DEVICES = DEVICES_FILTER.removesuffix("#")
_RECEIPTS = receipt_topic("")
_NAME = re.compile(DEVICE_NAME_PATTERN)


def matches(name: str, topic: str) -> bool:
    """Whether a topic filter (MQTT 5, 4.7) matches a topic."""
    wanted, levels = name.split("/"), topic.split("/")
    if topic.startswith("$") != name.startswith("$"):
        return False
    for i, level in enumerate(wanted):
        if level == "#":
            return True
        if i >= len(levels) or level not in ("+", levels[i]):
            return False
    return len(wanted) == len(levels)


def may_be_published(topic: str) -> bool:
    """Whether MQTT allows it as a topic (4.7.1, 4.7.3): a broker ends the connection for any other."""
    return bool(topic) and not set("+#\0") & set(topic) and len(topic.encode()) <= TOPIC_BYTES_MAX


def check_filter(name: str) -> str:
    """The filter itself.

    Raises:
        CaptureError: it is none that MQTT allows.
    """
    levels = name.split("/")
    wrong = [
        x for i, x in enumerate(levels) if ("#" in x and (x != "#" or i < len(levels) - 1)) or ("+" in x and x != "+")
    ]
    if not name or wrong or "\0" in name:
        raise CaptureError(f"{name!r} is no topic filter: + and # stand alone in a level, # in the last")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Remap:
    """`old=new`: two names of devices; with a slash, whole levels at the beginning of a topic (`archive/=devices/`)."""

    old: str
    new: str

    @classmethod
    def parse(cls, text: str) -> Remap:
        """
        Raises:
            CaptureError: it is not `old=new`, or could not be a topic.
        """
        old, equals, new = text.partition("=")
        if not equals or not old or not new or set("+#\0") & set(text):
            raise CaptureError(f"{text!r} is not OLD=NEW, e.g. veh-001=veh-901 or devices/veh-001=archive/veh-001")
        if "/" not in text and _NAME.fullmatch(old) and _NAME.fullmatch(new):
            old, new = _DEVICES + old, _DEVICES + new
        return cls(old=old.strip("/"), new=new.strip("/"))

    def apply(self, topic: str) -> str:
        if topic == self.old or topic.startswith(self.old + "/"):
            return self.new + topic[len(self.old) :]
        return topic


@dataclass(frozen=True, slots=True)
class Target:
    """Where a topic's messages go. `renamed` is the old and the new device, where a remap gave them to another."""

    topic: str
    renamed: tuple[str, str] | None = None


class Choice:
    """Decides once per topic. `left_out` counts messages by reason."""

    def __init__(self, *, filters: Sequence[str] = (), remaps: Sequence[Remap] = ()) -> None:
        self.left_out: Counter[str] = Counter()
        self._filters = [check_filter(name) for name in filters]
        self._remaps = remaps
        self._known: dict[str, Target | str] = {}

    def target(self, topic: str) -> Target | None:
        """Where a message on this topic goes, or None if it is not to be sent."""
        decided = self._known.get(topic)
        if decided is None:
            if len(self._known) >= TOPICS_KEPT_MAX:
                self._known.clear()
            decided = self._known[topic] = self._decide(topic)
        if isinstance(decided, str):
            self.left_out[decided] += 1
            return None
        return decided

    def _decide(self, topic: str) -> Target | str:
        renamed = topic
        for remap in self._remaps:
            renamed = remap.apply(renamed)
        reason = self._reason(topic, renamed)
        if reason is not None:
            return reason
        before, after = parse_device_topic(topic), parse_device_topic(renamed)
        if before is not None and after is not None and before[0] != after[0]:
            return Target(renamed, (before[0], after[0]))
        return Target(renamed)

    def _reason(self, topic: str, renamed: str) -> str | None:
        """Why it is left out, if it is."""
        if self._filters and not any(matches(name, topic) for name in self._filters):
            return OTHER
        names = (topic, renamed)
        if any(name.startswith(_RECEIPTS) for name in names):
            return RECEIPTS
        if any(name.startswith("$") for name in names):
            return BROKER_TOPICS
        if any(parsed[1] == STATUS_LEAF for parsed in map(parse_device_topic, names) if parsed):
            return STATUS
        return None if may_be_published(renamed) else NO_TOPIC
