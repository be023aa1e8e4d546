"""Runs a server that listens on its own loopback only, and lets the container's network reach it.

    expose.py PORT COMMAND…     COMMAND listens on 127.0.0.1:PORT; connections to the container's address are passed on

The dashboard and the local AWS check no signature, so they refuse to listen anywhere else. In a container, loopback is
the container's own: what may reach it is said by docker-compose.yml, which publishes the port on the host's loopback.

Signals go to the command, and its exit code is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 64 * 1024
CONNECTIONS_MAX = 512

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on until the end, then end the other side's input as well."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def forwarder(port: int, limit: asyncio.Semaphore) -> Handler:
    """The connection handler that passes everything on to the loopback port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with limit:
            try:
                inner_reader, inner_writer = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                writer.close()
                return
            try:
                await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
            finally:
                for each in (inner_writer, writer):
                    each.close()

    return handle


def own_address() -> str:
    """The address of this container in its network.

    Raises:
        OSError: its name has none.
    """
    return socket.gethostbyname(socket.gethostname())


async def run(host: str, port: int, command: Sequence[str]) -> int:
    """Serve until the command ends; returns its exit code.

    Raises:
        OSError: the address cannot be listened on, or the command is missing.
    """
    server = await asyncio.start_server(forwarder(port, asyncio.Semaphore(CONNECTIONS_MAX)), host, port)
    process = await asyncio.create_subprocess_exec(*command)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, process.send_signal, number)
    code = await process.wait()
    server.close()
    return code if code >= 0 else 128 - code


def main(arguments: Sequence[str]) -> int:
    """Entry."""
    if len(arguments) < 2 or not arguments[0].isdigit():
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return asyncio.run(run(own_address(), int(arguments[0]), arguments[1:]))
    except OSError as error:
        print(f"expose: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
