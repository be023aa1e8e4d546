"""The command line: repeatability, and mistakes answered in words."""

from __future__ import annotations

import json
import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smartcity.sim.main import main, make_world
from smartcity.sim.settings import WorldSettings
from smartcity.sim.state import StateDirectory


def generate(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["generate", "--duration", "90", *arguments]) == 0
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_one_seed_and_start_give_the_same_readings_and_others_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    first = generate(capsys, "--seed", "5")
    assert generate(capsys, "--seed", "5") == first
    assert generate(capsys, "--seed", "6")["sha256"] != first["sha256"]
    assert generate(capsys, "--seed", "5", "--start", "2026-03-02T08:00:00Z")["sha256"] != first["sha256"]


def test_the_listing_is_in_order(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "readings.jsonl"
    document = generate(capsys, "--out", str(out))
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == sum(dict(document["generated"]).values())  # type: ignore[call-overload]
    order = [(line["time"], line["device"]) for line in lines]
    assert order == sorted(order)
    assert {line["stream"] for line in lines} >= {"gps", "vehicle", "camera", "weather"}


def test_the_devices_of_a_world_are_listed_as_a_run_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    which = ("--route", "waterloo-toronto", "--vehicles", "2", "--streams", "gps,weather")
    assert main(["devices", *which]) == 0
    names = capsys.readouterr().out.split()
    assert names[:2] == ["wt-veh-001", "wt-veh-002"]
    settings = WorldSettings(seed=9, routes=("waterloo-toronto",), vehicles=2, streams=("gps", "weather"))
    world = make_world(settings, datetime(2026, 7, 1, 3, 0, tzinfo=UTC))
    assert names == list(world.device_ids)
    assert not any("cam" in name for name in names)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "--route", "paris"], "waterloo-toronto"),
        (["run", "--start", "yesterday"], "2026-03-02T07:00:00Z"),
        (["run", "--start", "2026-03-02T07:00:00"], "zone"),
        (["run", "--broker", "host:port"], "HOST:PORT"),
        (["run", "--speed", "0"], "above 0"),
        (["run", "--vehicles", "0"], "whole number"),
        (["run", "--streams", "gps,sonar"], "sonar"),
        (["run", "--transport", "pigeon"], "fleet"),
        (["run", "--pending-max", "many"], "whole number"),
        (["run", "--until", "soon"], "RFC 3339"),
    ],
)
def test_a_mistake_is_named(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert named in error
    assert "Traceback" not in error


def test_streams_choose_what_is_observed_and_change_nothing_in_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def lines(name: str, *arguments: str) -> list[str]:
        generate(capsys, "--vehicles", "3", "--out", str(tmp_path / name), *arguments)
        return (tmp_path / name).read_text().splitlines()

    everything = lines("all")
    for stream in ("gps", "vehicle", "weather"):
        some = lines(stream, "--streams", stream)
        assert some == [line for line in everything if json.loads(line)["stream"] == stream]
        assert some


def test_more_devices_than_open_files_are_refused_in_words(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (64, 128))
    assert main(["run", "--vehicles", "50", "--streams", "gps", "--state", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "100 devices need 164 open files" in error
    assert "128" in error


def test_a_start_in_the_future_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["run", "--start", "2999-01-01T00:00:00Z", "--state", str(tmp_path)]) == 2
    assert "future" in capsys.readouterr().err


def test_an_end_before_the_start_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--until", "2026-03-02T06:00:00Z"]) == 2
    assert "not after the start" in capsys.readouterr().err


def test_a_state_that_cannot_be_used_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert main(["run", "--state", str(blocked)]) == 1
    assert str(blocked) in capsys.readouterr().err
    state = StateDirectory(tmp_path / "used")
    assert main(["run", "--state", str(state.path)]) == 1
    assert "in use by process" in capsys.readouterr().err
    state.close()
