"""Who is online: the devices' statuses as last heard, since when, and their sums."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smartcity.contracts.status import Status

from .observe import Presence
from .settings import DEVICES_MAX

_SUMMED = ("pending", "refused", "dropped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A device's last status. Times are seconds since 1970 by this process's clock."""

    status: Status
    at: float
    since: float
    """When its state was first heard."""
    since_at_least: bool
    """Whether the state is older than `since`: the gateway had kept it when we came."""

    def shown(self) -> dict[str, Any]:
        status = self.status
        return {
            "state": status.state,
            "boot": status.boot,
            "sequence": status.sequence,
            "pending": status.pending,
            "refused": status.refused,
            "dropped": status.dropped,
            "reported": status.time[:40],
            "at": round(self.at, 3),
            "since": round(self.since, 3),
            "since_at_least": self.since_at_least,
        }


class Roll:
    """All devices' presence. The sums are kept, not counted anew: pages ask for them all the time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard: OrderedDict[str, Heard] = OrderedDict()
        self._sums = {"online": 0, "offline": 0, **dict.fromkeys(_SUMMED, 0)}

    def apply(self, presence: Presence) -> bool:
        """Takes a status in; whether the device's state changed."""
        before = self._heard.pop(presence.device_id, None)
        now, status = self._clock(), presence.status
        stays = before is not None and before.status.state == status.state
        self._heard[presence.device_id] = Heard(
            status=status,
            at=now,
            since=before.since if before is not None and stays else now,
            since_at_least=before.since_at_least if before is not None and stays else presence.retained,
        )
        if before is not None:
            self._add(before.status, -1)
        self._add(status, 1)
        while len(self._heard) > DEVICES_MAX:
            self._add(self._heard.popitem(last=False)[1].status, -1)
        return not stays

    def of(self, device_id: str) -> Heard | None:
        return self._heard.get(device_id)

    def sums(self) -> dict[str, int]:
        return dict(self._sums)

    def _add(self, status: Status, sign: int) -> None:
        self._sums[status.state] += sign
        for name in _SUMMED:
            self._sums[name] += sign * getattr(status, name)
