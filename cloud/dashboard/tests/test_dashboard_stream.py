"""The stream of a page: what comes is told soon, once for all pages, and no more of it than what changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

from starlette.requests import Request

from smartcity.dashboard.inbox import Inbox, Message
from smartcity.dashboard.live import Live
from smartcity.dashboard.live_pages import live_routes
from smartcity.dashboard.settings import GATHER_S, Address

RMC = b"$GPRMC,081836,A,3751.65,S,14507.36,E,010.0,360.0,130998,011.3,E*63\r\n"


class Pipe(Inbox):
    """An inbox without a gateway."""

    def __init__(self) -> None:
        super().__init__(Address(host="127.0.0.1", port=1))
        self.wakes = 0

    def start(self, wake: Callable[[], None] | None = None) -> None:
        def counted() -> None:
            self.wakes += 1
            if wake is not None:
                wake()

        self._wake = counted

    def came(self, device: str, payload: bytes = RMC, leaf: str = "gps") -> None:
        self._on_message(Message(topic=f"devices/{device}/{leaf}", payload=payload, properties=(), retained=False))


def live(pipe: Pipe) -> Live:
    told = iter(range(1_000_000))
    return Live(pipe, lambda: asyncio.get_running_loop().time() + 1e6, lambda: {"gateway": next(told)})


async def told(events: AsyncGenerator[str, None]) -> dict[str, Any]:
    text = await asyncio.wait_for(anext(events), 30)
    found: dict[str, Any] = json.loads(text.split("data: ", 1)[1])
    return found


def run(scenario: Callable[[Pipe, Live], Any]) -> None:
    async def main() -> None:
        pipe = Pipe()
        there = live(pipe)
        filling = asyncio.create_task(there.fill())
        await asyncio.sleep(0)
        try:
            await scenario(pipe, there)
        finally:
            filling.cancel()

    asyncio.run(main())


def test_what_comes_together_is_told_together() -> None:
    async def scenario(pipe: Pipe, there: Live) -> None:
        events = there.events(lambda: False)
        assert (await told(events))["full"]
        for number in range(50):
            pipe.came(f"bus-{number}")
        update = await told(events)
        assert len(update["vehicles"]) == 50
        assert pipe.wakes == 1
        await events.aclose()

    run(scenario)


def test_what_comes_later_is_told_without_waiting_for_the_sums() -> None:
    async def scenario(pipe: Pipe, there: Live) -> None:
        loop = asyncio.get_running_loop()
        events = there.events(lambda: False)
        await told(events)
        begun, updates = loop.time(), []
        for number in range(5):
            pipe.came(f"bus-{number}")
            updates.append(await told(events))
        assert loop.time() - begun >= 5 * GATHER_S * 0.9
        names = [name for update in updates for name in update.get("vehicles", {})]
        assert names == [f"bus-{number}" for number in range(5)]
        assert sum("counts" in update for update in updates) < 5
        await events.aclose()

    run(scenario)


def test_pages_at_the_same_version_share_one_encoding() -> None:
    async def scenario(pipe: Pipe, there: Live) -> None:
        pages = [there.events(lambda: False) for _ in range(3)]
        first = [await anext(page) for page in pages]
        assert there.pages == 3
        assert first[0] is first[1] is first[2]
        for page in pages:
            await page.aclose()
        assert there.pages == 0

    run(scenario)


def test_nothing_is_told_where_nothing_came() -> None:
    async def scenario(pipe: Pipe, there: Live) -> None:
        events = there.events(lambda: False)
        await told(events)
        # The next one brings the sums, a second later, and nothing else.
        update = await told(events)
        assert set(update) == {"full", "version", "now", "time", "counts", "unreadable", "devices", "gateway"}
        # They are those of the moment, though nothing else changed.
        later = await told(events)
        assert later["now"] >= update["now"] + 0.5
        assert later["gateway"] == update["gateway"] + 1
        await events.aclose()

    run(scenario)


def test_a_vehicle_that_was_never_heard_is_answered_in_words() -> None:
    async def asked(device: str, query: bytes = b"") -> tuple[int, dict[str, Any]]:
        there = Live(Pipe(), lambda: 1.0, lambda: {})
        routes = {route.path: route for route in live_routes(there, lambda: {"gateway": {}}, lambda: True)}
        scope = {"type": "http", "path_params": {"device": device}, "query_string": query}
        answer = await routes["/api/vehicle/{device}"].endpoint(Request(scope))
        return answer.status_code, json.loads(answer.body)

    assert "has been heard" in asyncio.run(asked("bus-7"))[1]["unknown"]
    assert "no device's name" in asyncio.run(asked("BUS 7"))[1]["unknown"]
    assert asyncio.run(asked("bus-7", b"since=nan"))[0] == 400
