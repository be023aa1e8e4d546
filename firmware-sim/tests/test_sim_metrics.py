"""What the devices tell Prometheus, scraped from the process, without a gateway."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

DEADLINE_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def simulator(state: Path, metrics: str) -> Iterator[subprocess.Popen[str]]:
    """Two routes' devices at 60 times real time, at a port where no gateway is."""
    program = [sys.executable, "-c", "import sys; from smartcity.sim.main import main; sys.exit(main())", "run"]
    options = ["--broker", f"127.0.0.1:{free_port()}", "--state", str(state), "--speed", "60", "--metrics", metrics]
    process = subprocess.Popen([*program, *options, "--quiet"], stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)


def scrape(port: int) -> dict[str, float]:
    """Sums over labels."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


def test_a_scrape_tells_what_waits_while_no_gateway_answers(tmp_path: Path) -> None:
    port, deadline = free_port(), time.monotonic() + DEADLINE_S
    with simulator(tmp_path, f"127.0.0.1:{port}"):
        found: dict[str, float] = {}
        while found.get("smartcity_sim_generated_total", 0) < 100:
            assert time.monotonic() < deadline, found
            with contextlib.suppress(OSError):
                found = scrape(port)
            time.sleep(0.1)
    assert found["smartcity_sim_pending"] == found["smartcity_sim_generated_total"]
    assert found["smartcity_sim_confirmed_total"] == found["smartcity_sim_devices_connected"] == 0
    assert found["smartcity_sim_devices"] > 10
    assert found["process_resident_memory_bytes"] > 10e6


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        with simulator(tmp_path, address) as process:
            assert process.wait(DEADLINE_S) == 1
            assert process.stderr is not None
            error = process.stderr.read()
    assert f"--metrics {address} cannot be opened: Address already in use" in error
    assert "Traceback" not in error
