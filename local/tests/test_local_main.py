"""The command line's own behaviour: options, errors without traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smartcity.local.commands.status import render
from smartcity.local.environment import child_environment, stack_environment
from smartcity.local.errors import StackError
from smartcity.local.main import main
from smartcity.local.services import CLUSTER_SERVICES, SERVICES, Service
from smartcity.local.stack import Stack, Status


def test_an_unknown_service_is_named_with_those_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--var", str(tmp_path), "up", "--only", "kafak"]) == 1
    error = capsys.readouterr().err
    assert "no service is called kafak" in error
    assert "mosquitto" in error


def test_var_is_taken_on_both_sides_of_the_subcommand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json", "--var", str(tmp_path)]) == 1
    after = json.loads(capsys.readouterr().out)
    assert main(["--var", str(tmp_path), "status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["var"] == after["var"] == str(tmp_path)
    assert {service["state"] for service in after["services"]} == {"down"}


def test_down_where_nothing_runs_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--var", str(tmp_path)]) == 0
    assert "nothing was running" in capsys.readouterr().out


def test_wipe_takes_topics_tables_and_device_logs_but_not_the_jars(tmp_path: Path) -> None:
    for name in ("data/kafka", "data/s3", "data/aws", "data/mosquitto", "sim/demo", "jars/kafka"):
        (tmp_path / name).mkdir(parents=True)
    Stack(tmp_path).down(wipe=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jars"]


def test_addresses_of_a_stack_that_is_down_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="smartcity up"):
        Stack(tmp_path).addresses()
    with pytest.raises(StackError, match="smartcity up"):
        Stack(tmp_path).environment()


def test_a_replay_without_a_stack_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "city.mcap", "--var", str(tmp_path)]) == 1
    assert "smartcity up" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["lake", "deadletters", "list"], ["aws", "status"]])
def test_a_command_at_the_stack_says_what_to_do_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main(["--var", str(tmp_path), *command]) == 1
    assert "run: smartcity up" in capsys.readouterr().err


def test_no_second_query_is_started_beside_the_stacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--var", str(tmp_path), "lake", "run"]) == 1
    assert "would fill the same tables" in capsys.readouterr().err


def test_nothing_of_a_real_account_reaches_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    environment = child_environment(stack_environment(var=tmp_path))
    assert "AWS_PROFILE" not in environment
    assert "AWS_SESSION_TOKEN" not in environment
    assert environment["AWS_ACCESS_KEY_ID"] == "test"


def test_status_names_what_is_wrong(tmp_path: Path) -> None:
    status = Status(
        name="bridge",
        state="unhealthy",
        pid=7,
        ports={"bridge_http": 8081},
        rss_bytes=45_000_000,
        started_at=100.0,
        log=tmp_path / "log" / "bridge.log",
        data=None,
        detail="answers 503 kafka",
    )
    text = "\n".join(render([status], {"gps_data": 3}, tmp_path, now=160.0))
    assert "unhealthy" in text
    assert "answers 503 kafka" in text
    assert "60 s" in text
    assert "gps_data 3" in text


@pytest.mark.parametrize("services", [SERVICES, CLUSTER_SERVICES])
def test_every_service_needs_only_what_stands_before_it(services: tuple[Service, ...]) -> None:
    seen: set[str] = set()
    for service in services:
        assert set(service.needs) <= seen
        seen.add(service.name)


def test_no_two_services_want_the_same_port() -> None:
    wanted = [port for service in CLUSTER_SERVICES for port in service.ports.values()]
    assert len(wanted) == len(set(wanted))
