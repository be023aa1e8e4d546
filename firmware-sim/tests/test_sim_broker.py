"""Devices against a real Mosquitto and a giver of receipts: nothing is lost, nothing blocks."""

from __future__ import annotations

import getpass
import importlib.util
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.broker

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")

_SPEC = importlib.util.spec_from_file_location("receipt_giver", Path(__file__).with_name("receipt_giver.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
receipt_giver = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(receipt_giver)

DEADLINE_S = 60


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.05)


class Gateway:
    """A Mosquitto of our own, which can be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *lines: str) -> None:
        assert MOSQUITTO is not None, "mosquitto is not installed; run `make setup-tests`"
        config = self._directory / "mosquitto.conf"
        base = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", f"user {getpass.getuser()}"]
        config.write_text("\n".join([*base, "persistence false", "max_queued_messages 100000", *lines, ""]))
        with (self._directory / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([MOSQUITTO, "-c", str(config)], stdout=log, stderr=log)
        until(self._listens, "mosquitto listens")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Simulator:
    """`smartcity-sim run` as a process."""

    def __init__(self, gateway: Gateway, state: Path, transport: str, *arguments: str) -> None:
        program = [sys.executable, "-c", "import sys; from smartcity.sim.main import main; sys.exit(main())", "run"]
        options = ["--broker", f"127.0.0.1:{gateway.port}", "--state", str(state), "--route", "waterloo-toronto"]
        options += ["--transport", transport]
        self.outbox = state / "outbox.db"
        self.process = subprocess.Popen(
            [*program, *options, "--json", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ends(self) -> tuple[int, dict[str, Any], str]:
        out, error = self.process.communicate(timeout=DEADLINE_S)
        assert "Traceback" not in error, error
        return self.process.returncode, json.loads(out), error

    def count(self, table: str) -> int:
        try:
            return len(ids(self.outbox, table))
        except sqlite3.OperationalError:
            return 0


def ids(outbox: Path, table: str) -> set[tuple[str, str]]:
    """Device and id of every row."""
    with sqlite3.connect(f"file:{outbox}?mode=ro", uri=True) as db:
        return {
            (device, f"{boot}.{n}") for device, boot, n in db.execute(f"SELECT device_id, boot, sequence FROM {table}")
        }


def seen(giver: Any) -> set[tuple[str, str]]:
    return {(device, one) for device, found in giver.ids().items() for one in found}


@pytest.fixture(params=["paho", "fleet"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def giver(gateway: Gateway) -> Iterator[Any]:
    made = receipt_giver.ReceiptGiver(gateway.port, interval_s=0.1)
    yield made
    made.close()


def test_every_reading_arrives_and_is_forgotten_then(
    gateway: Gateway, giver: Any, tmp_path: Path, transport: str
) -> None:
    gateway.start()
    simulator = Simulator(gateway, tmp_path / "s", transport, "--speed", "60", "--duration", "150")
    code, summary, _ = simulator.ends()
    assert code == 0
    assert summary["pending"] == summary["refused"] == summary["dropped"] == 0
    assert summary["confirmed"] == sum(summary["generated"].values()) > 300
    assert ids(simulator.outbox, "log") == seen(giver)
    assert giver.wrong == []
    boots, reports = summary["boots"], giver.statuses
    assert set(reports) == set(boots)
    until(lambda: all(found[-1]["state"] == "offline" for found in reports.values()), "all devices are offline")
    for device, found in reports.items():
        assert found[0]["state"] == "online"
        assert {status["boot"] for status in found} == {boots[device]}
    assert reports["wt-veh-001"][-1]["sequence"] == len(giver.ids()["wt-veh-001"])


def test_a_killed_process_loses_nothing_and_resumes_later(
    gateway: Gateway, giver: Any, tmp_path: Path, transport: str
) -> None:
    gateway.start()
    giver.silent = True
    first = Simulator(gateway, tmp_path / "s", transport, "--speed", "60", "--until", "never", "--seed", "3")
    until(lambda: first.count("log") > 400, "400 readings are logged")
    first.process.kill()
    first.process.communicate()
    before = ids(first.outbox, "pending")
    assert len(before) > 300
    giver.silent = False
    second = Simulator(
        gateway, tmp_path / "s", transport, "--speed", "60", "--until", "never", "--seed", "3", "--duration", "60"
    )
    code, summary, error = second.ends()
    assert code == 0
    assert "the saved world goes on" in error
    assert summary["pending"] == 0
    assert ids(second.outbox, "log") == seen(giver) > before
    with sqlite3.connect(second.outbox) as db:
        spans = db.execute(
            "SELECT min(event_time_us), max(event_time_us) FROM log WHERE device_id = 'wt-veh-001'"
            " GROUP BY boot ORDER BY 1"
        ).fetchall()
    assert len(spans) == 2
    assert spans[0][1] < spans[1][0]


def test_a_gateway_that_starts_late_and_is_killed_costs_nothing(
    gateway: Gateway, giver: Any, tmp_path: Path, transport: str
) -> None:
    simulator = Simulator(gateway, tmp_path / "s", transport, "--speed", "60", "--duration", "400")
    until(lambda: simulator.count("log") > 50, "readings are logged without a gateway")
    gateway.start()
    until(lambda: giver.received > 300, "300 readings arrived")
    gateway.kill()
    gateway.start()
    code, summary, error = simulator.ends()
    assert code == 0
    assert "cannot reach the gateway" in error
    assert summary["pending"] == 0
    assert ids(simulator.outbox, "log") == seen(giver)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["max_packet_size 6000"], "packet_too_large"),
        (["message_size_limit 6000"], "connection_closed"),
        (["acl_file {acl}"], "puback_135"),
    ],
)
def test_what_the_gateway_refuses_blocks_nothing(  # noqa: PLR0917 - Fixtures.
    lines: list[str], reason: str, gateway: Gateway, giver: Any, tmp_path: Path, transport: str
) -> None:
    acl = tmp_path / "acl"
    acl.write_text(
        "".join(f"topic write devices/+/{leaf}\n" for leaf in ("gps", "obd", "weather", "emergency", "status"))
        + "topic read #\ntopic write receipts/#\n"
    )
    gateway.start(*(line.format(acl=acl) for line in lines))
    simulator = Simulator(gateway, tmp_path / "s", transport, "--speed", "60", "--duration", "70")
    code, summary, _ = simulator.ends()
    assert code == 0
    assert summary["pending"] == 0
    with sqlite3.connect(simulator.outbox) as db:
        refused = db.execute("SELECT DISTINCT stream, reason FROM refused").fetchall()
    if transport == "fleet" and reason == "connection_closed":
        reason = "puback_149"  # Our own client can read the PUBACK that paho stumbles over.
    assert refused == [("camera", reason)]
    assert ids(simulator.outbox, "refused") | seen(giver) == ids(simulator.outbox, "log")
    assert not ids(simulator.outbox, "refused") & seen(giver)
    assert summary["refused"] == len(ids(simulator.outbox, "refused"))


def test_without_receipts_the_end_says_what_is_pending(
    gateway: Gateway, giver: Any, tmp_path: Path, transport: str
) -> None:
    gateway.start()
    giver.silent = True
    arguments = ["--speed", "60", "--duration", "60", "--drain-timeout-s", "1"]
    simulator = Simulator(gateway, tmp_path / "s", transport, *arguments)
    code, summary, error = simulator.ends()
    assert code == 1
    assert summary["confirmed"] == 0
    assert summary["pending"] == sum(summary["generated"].values()) == simulator.count("pending")
    assert "wt-veh-001" in error
    assert "outbox.db" in error


def test_a_broker_without_a_bridge_can_do_with_pubacks(gateway: Gateway, tmp_path: Path, transport: str) -> None:
    gateway.start()
    simulator = Simulator(
        gateway, tmp_path / "s", transport, "--speed", "60", "--duration", "60", "--confirm", "puback"
    )
    code, summary, _ = simulator.ends()
    assert code == 0
    assert summary["pending"] == 0
    assert summary["confirmed"] == sum(summary["generated"].values()) > 100


def test_sigterm_ends_in_order(gateway: Gateway, giver: Any, tmp_path: Path, transport: str) -> None:
    gateway.start()
    simulator = Simulator(gateway, tmp_path / "s", transport, "--until", "never", "--speed", "60")
    until(lambda: giver.received > 100, "100 readings arrived")
    simulator.process.send_signal(signal.SIGTERM)
    code, summary, _ = simulator.ends()
    assert code == 0
    assert summary["ending"] == "stopped"
    until(lambda: all(s[-1]["state"] == "offline" for s in giver.statuses.values()), "all devices are offline")


HOUR_S = 3_600
LIVE = ("--streams", "gps,vehicle")


def an_hour_offline(state: Path, transport: str) -> set[tuple[str, str]]:
    """A device that drove for an hour where no gateway is: what it wants to deliver."""
    nowhere = Gateway(state)
    away = Simulator(nowhere, state, transport, *LIVE, "--speed", "900", "--duration", str(HOUR_S),
                     "--drain-timeout-s", "0")  # fmt: skip
    code, summary, _ = away.ends()
    assert code == 1
    backlog = ids(away.outbox, "pending")
    assert len(backlog) == summary["pending"] == sum(summary["generated"].values()) > 1.9 * HOUR_S
    return backlog


def drive_on(gateway: Gateway, state: Path, transport: str, seconds: int) -> Simulator:
    """In real time, from now on."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return Simulator(gateway, state, transport, *LIVE, "--start", now, "--duration", str(seconds))


def test_an_hours_backlog_does_not_hold_up_live_readings(
    gateway: Gateway, giver: Any, tmp_path: Path, transport: str
) -> None:
    gateway.start()
    backlog = an_hour_offline(tmp_path / "s", transport)
    until(giver.subscribed.is_set, "the giver of receipts listens")
    simulator = drive_on(gateway, tmp_path / "s", transport, 6)
    until(lambda: giver.received >= len(backlog), "the backlog has arrived")
    code, summary, _ = simulator.ends()
    assert code == 0
    assert summary["pending"] == summary["dropped"] == summary["refused"] == 0
    assert seen(giver) == ids(simulator.outbox, "log") > backlog
    assert giver.received - len(seen(giver)) <= 32, "published more than once, without any outage"
    live = sorted(delay for found, delay in giver.delays.items() if found not in backlog)
    assert len(live) >= 8
    offset_s = live[0]  # The simulated clock was tied to the wall clock that much after its start.
    assert live[-1] - offset_s < 2.0, live


def test_an_outage_of_the_receipts_does_not_multiply_messages(
    gateway: Gateway, giver: Any, tmp_path: Path, transport: str
) -> None:
    """The window fills and stays; then the oldest reading alone is sent again, ever more rarely."""
    gateway.start()
    backlog = an_hour_offline(tmp_path / "s", transport)
    until(giver.subscribed.is_set, "the giver of receipts listens")
    giver.silent = True
    simulator = drive_on(gateway, tmp_path / "s", transport, 15)
    until(lambda: giver.received >= 192, "the backlog's share of the window has arrived")
    until(lambda: giver.received > len(seen(giver)), "a reading was sent again")
    assert giver.received <= len(seen(giver)) + 4
    assert len(seen(giver)) <= 256 + 2 * 15 + 10, "a window, and each live reading once"
    giver.silent = False
    code, summary, _ = simulator.ends()
    assert code == 0
    assert summary["pending"] == 0
    assert seen(giver) == ids(simulator.outbox, "log") > backlog
    assert giver.received - len(seen(giver)) <= 256, "at most the window once more"
