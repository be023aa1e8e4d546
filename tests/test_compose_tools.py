"""The two small programs in our images: health checks, and the way to servers that listen on loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import importlib.util
import json
import os
import re
import shlex
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from smartcity.local import containers
from smartcity.local.errors import ServiceError
from smartcity.sim import main as sim

ROOT = Path(__file__).parents[1]


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"compose_{name}", ROOT / "compose" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


healthy = _module("healthy")
expose = _module("expose")


class _Page(http.server.BaseHTTPRequestHandler):
    status, body = 200, b"{}"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def page(status: int, body: bytes) -> Iterator[str]:
    handler = type("Page", (_Page,), {"status": status, "body": body})
    with socketserver.TCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_a_page_is_well_when_it_answers_200(capsys: pytest.CaptureFixture[str]) -> None:
    with page(200, b"ok") as url:
        assert healthy.main(["http", url]) == 0
    with page(503, b"no") as url:
        assert healthy.main(["http", url]) == 1
    assert "503" in capsys.readouterr().out
    assert healthy.main(["http", url]) == 1, "nobody listens there any more"


def test_a_page_that_hangs_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthy, "ANSWER_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        assert healthy.main(["http", f"http://127.0.0.1:{deaf.getsockname()[1]}/"]) == 1


def test_a_worker_is_well_when_its_master_counts_it() -> None:
    workers = [{"host": "one", "state": "ALIVE"}, {"host": "two", "state": "DEAD"}]
    with page(200, json.dumps({"workers": workers}).encode()) as url:
        assert healthy.main(["worker", url, "one"]) == 0
        assert healthy.main(["worker", url, "two"]) == 1
        assert healthy.main(["worker", url, "three"]) == 1
        # Of several checks each must hold.
        assert healthy.main(["worker", url, "one", "--", "worker", url, "two"]) == 1


def test_a_folder_is_fresh_for_so_many_seconds(tmp_path: Path) -> None:
    assert healthy.fresh(str(tmp_path), "15") is not None
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "outbox.db-wal"
    file.touch()
    assert healthy.fresh(str(tmp_path), "15") is None
    old = time.time() - 60
    os.utime(file, (old, old))
    assert healthy.fresh(str(tmp_path), "15") is not None


def test_stopped_processes_are_seen(tmp_path: Path) -> None:
    for pid, line in {
        1: "1 (docker) S 0 1",
        7: "7 (a) b) R 1 7",
        # A grandchild is its parent's affair: Spark's Python workers come and go.
        8: "8 (python) T 7 8",
        # What spark-class started first has ended, and Java does not ask after it.
        9: "9 (bash) Z 1 1",
    }.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(line)
    (tmp_path / "self").mkdir()
    assert healthy.runs(str(tmp_path)) is None
    (tmp_path / "7" / "stat").write_text("7 (a) b) T 1 7")
    assert healthy.runs(str(tmp_path)) == "process 7 is stopped"
    (tmp_path / "7" / "stat").write_text("7 (a) b) S 1 7")
    (tmp_path / "1" / "stat").write_text("1 (docker) T 0 1")
    assert healthy.runs(str(tmp_path)) == "process 1 is stopped"


def test_a_real_stopped_process_has_that_letter() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        os.kill(child.pid, signal.SIGSTOP)
        deadline = time.monotonic() + 10
        while (state := Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0]) != "T":
            assert time.monotonic() < deadline, state
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 stands for the container's address")
def test_a_loopback_server_is_reached_through_the_other_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]

    async def reached() -> int:
        running = asyncio.create_task(expose.run("127.0.0.2", port, server))
        deadline = time.monotonic() + 20
        answer = b""
        while b"200" not in answer and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.2", port)
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                answer = await reader.read(4096)
                writer.close()
            await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)  # It goes to the command, which ends by it.
        assert b"200" in answer, answer
        code: int = await running
        return code

    assert asyncio.run(reached()) == 128 + signal.SIGTERM


def test_the_commands_exit_code_is_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert asyncio.run(expose.run("127.0.0.1", port, [sys.executable, "-c", "raise SystemExit(7)"])) == 7


def test_two_brokers_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*addresses: str) -> None:
        entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 9092)) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: entries)

    found("10.0.0.2", "10.0.0.2")
    containers.only_one_broker("broker:9092")
    found("10.0.0.2", "10.0.0.3")
    with pytest.raises(ServiceError, match="SMARTCITY_KRAFT_BROKERS=0"):
        containers.only_one_broker("broker:9092")


def test_configure_writes_what_other_users_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTCITY_KAFKA_PORT", "19092")
    arguments = ["configure", f"--mosquitto={tmp_path}", f"--kafka={tmp_path}"]
    assert containers.main(arguments) == 0
    for name in ("mosquitto.conf", "server.properties", "zookeeper-broker.properties"):
        assert (tmp_path / name).stat().st_mode & 0o444 == 0o444
    assert "HOST://localhost:19092" in (tmp_path / "server.properties").read_text()
    monkeypatch.setenv("SMARTCITY_KAFKA_PORT", "no")
    assert containers.main(arguments) == 1


def test_the_unit_for_a_raspberry_pi_starts_the_simulator_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "raspberry-pi" / "smartcity-sim.service").read_text().replace("\\\n", " ")
    [line] = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    program, command, *flags = shlex.split(line)
    assert (Path(program).name, command) == ("smartcity-sim", "run")
    # Its bundle is not here: every flag is read, and that is what is complained about.
    assert sim.main([command, *flags]) != 0
    assert "wt-veh-001.pem" in capsys.readouterr().err
