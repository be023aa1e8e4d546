"""What a configuration guarantees is said, and a broken promise is an exit code."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smartcity.contracts.limits import MQTT_PACKET_BYTES_MAX
from smartcity.edge.check import judge, parse_configuration
from smartcity.edge.check_running import ask_broker
from smartcity.edge.errors import BrokerError
from smartcity.edge.gateway import Gateway, claim_data, render
from smartcity.edge.main import main

OWN = render(Gateway(host="127.0.0.1", port=1883, data=Path("/data")))


def bad(text: str) -> list[str]:
    return [finding.text for finding in judge(parse_configuration(text, "test")) if finding.level == "bad"]


def test_our_own_configuration_breaks_no_promise() -> None:
    assert bad(OWN) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("listener 1883 127.0.0.1", "listener 1883 0.0.0.0", "for anybody"),
        ("listener 1883 127.0.0.1", "listener 1883", "every interface"),
        ("persistence true", "persistence false", "persistence is off"),
        (f"max_packet_size {MQTT_PACKET_BYTES_MAX}", "sys_interval 10", "of any size"),
        ("sys_interval 10", "message_size_limit 1000", "message_size_limit"),
    ],
)
def test_each_broken_promise_is_named(before: str, after: str, said: str) -> None:
    assert before in OWN
    [text] = bad(OWN.replace(before, after))
    assert said in text


def test_the_guarantee_of_a_puback_is_stated() -> None:
    assert any("not that it is stored" in finding.text for finding in judge(parse_configuration(OWN, "test")))


def test_a_broken_promise_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mosquitto.conf"
    file.write_text(OWN.replace("persistence true", "persistence false"))
    assert main(["check", str(file), "--json"]) == 1
    assert "bad" in {finding["level"] for finding in json.loads(capsys.readouterr().out)}
    file.write_text(OWN)
    assert main(["check", str(file)]) == 0


def test_a_missing_file_and_a_setting_without_value_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(tmp_path / "none.conf")]) == 1
    assert "none.conf cannot be read" in capsys.readouterr().err
    (tmp_path / "half.conf").write_text("# comment\nlistener\n")
    assert main(["check", str(tmp_path / "half.conf")]) == 1
    assert "line 2: listener has no value" in capsys.readouterr().err


def test_an_address_without_port_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["config", "--listen", "localhost"])
    assert ended.value.code == 2


def test_no_broker_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(BrokerError, match=f"no broker answers at 127.0.0.1:{port}"):
        ask_broker("127.0.0.1", port)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """A Mosquitto with our configuration; yields its port."""
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    data = tmp_path / "data"
    data.mkdir()
    gateway = Gateway(host="127.0.0.1", port=port, data=data, user=claim_data(data))
    (tmp_path / "mosquitto.conf").write_text(render(gateway))
    process = subprocess.Popen([program, "-c", str(tmp_path / "mosquitto.conf")])
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "Mosquitto refuses the configuration"
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.mark.broker
def test_a_running_broker_announces_the_contracts_limit(broker: int, tmp_path: Path) -> None:
    findings = ask_broker("127.0.0.1", broker)
    assert [finding.level for finding in findings] == ["good", "good"]
    assert "mosquitto version" in findings[0].text
    assert str(MQTT_PACKET_BYTES_MAX) in findings[1].text
