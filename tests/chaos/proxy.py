"""A TCP proxy on loopback that can reset its connections, or let nothing through for a while."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import TypeVar

PORTION_BYTES = 64 * 1024
Result = TypeVar("Result")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close sends RST.


class Proxy:
    """Stands between clients and `port` on loopback, from its making until `close`. Its own port never changes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._open = self._do(self._make_gate)
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result(10)
        host, own = self._server.sockets[0].getsockname()[:2]
        self.address = f"{host}:{own}"

    def cut(self) -> int:
        """Resets every connection (RST to both sides). Returns how many there were."""
        return self._do(self._reset) // 2

    def partition(self) -> None:
        """Lets nothing through; connections stay, and what was sent waits."""
        self._do(self._open.clear)

    def heal(self) -> None:
        self._do(self._open.set)

    def close(self) -> None:
        self._do(self._server.close)
        self._do(self._reset)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _make_gate(self) -> asyncio.Event:
        gate = asyncio.Event()
        gate.set()
        return gate

    def _reset(self) -> int:
        writers = list(self._writers)
        for writer in writers:
            raw = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()
        return len(writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, server_writer}
        pumps = [
            asyncio.ensure_future(self._pump(reader, server_writer)),
            asyncio.ensure_future(self._pump(server_reader, writer)),
        ]
        # The end of one direction ends both: no part of the system uses half-closed connections.
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        for each in (writer, server_writer):
            self._writers.discard(each)
            each.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while portion := await reader.read(PORTION_BYTES):
                await self._open.wait()
                writer.write(portion)
                await writer.drain()

    def _do(self, action: Callable[[], Result]) -> Result:
        """Runs it in the proxy's own thread, where everything else of it runs."""

        async def act() -> Result:
            return action()

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)
