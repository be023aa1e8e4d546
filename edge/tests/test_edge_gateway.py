"""The rendered configuration carries the contract's limits, and the folder is usable for whoever runs the broker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smartcity.contracts.limits import MQTT_PACKET_BYTES_MAX
from smartcity.edge import gateway as gateway_module
from smartcity.edge.check import parse_configuration
from smartcity.edge.errors import ConfigurationError
from smartcity.edge.gateway import Gateway, claim_data, render


def settings(**changes: object) -> dict[str, list[str]]:
    values = {"host": "127.0.0.1", "port": 1883, "data": Path("/data folder"), **changes}
    return parse_configuration(render(Gateway(**values)), "rendered")  # type: ignore[arg-type]


def test_limits_are_those_of_the_contract() -> None:
    assert settings()["max_packet_size"] == [str(MQTT_PACKET_BYTES_MAX)]


def test_the_listener_and_the_data_folder_are_where_they_were_asked_for() -> None:
    rendered = settings(port=2883)
    assert rendered["listener"] == ["2883 127.0.0.1"]
    assert rendered["persistence_location"] == ["/data folder/"]


def test_every_setting_stands_once_and_nothing_is_left_open() -> None:
    rendered = settings()
    assert [name for name, values in rendered.items() if len(values) > 1 and name != "log_type"] == []
    text = render(Gateway(host="127.0.0.1", port=1883, data=Path("/d")))
    assert "${" not in text
    assert "$SYS" in text


def test_a_user_is_named_only_where_one_is_asked_for() -> None:
    assert "user" not in settings()
    assert settings(user="mosquitto")["user"] == ["mosquitto"]


def test_a_line_break_in_the_folder_cannot_smuggle_a_setting_in() -> None:
    with pytest.raises(ConfigurationError, match="line break"):
        settings(data=Path("/d\nallow_anonymous false"))


def test_an_ordinary_user_runs_the_broker_as_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert claim_data(tmp_path) is None


def test_root_keeps_the_broker_where_its_user_cannot_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(gateway_module, "_user_exists", lambda name: True)
    private = tmp_path / "private"
    (private / "data").mkdir(parents=True)
    private.chmod(0o700)
    assert claim_data(private / "data") == "root"


def test_root_keeps_the_broker_where_the_package_made_no_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(gateway_module, "_user_exists", lambda name: False)
    assert claim_data(tmp_path) == "root"


def test_root_hands_the_folder_and_its_files_to_the_brokers_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(gateway_module, "_user_exists", lambda name: True)
    monkeypatch.setattr(gateway_module, "_reachable_for_others", lambda data: True)
    monkeypatch.setattr(gateway_module.shutil, "chown", lambda path, user: handed.append((path, user)))
    (tmp_path / "mosquitto.db").touch()
    assert claim_data(tmp_path) == "mosquitto"
    assert handed == [(tmp_path, "mosquitto"), (tmp_path / "mosquitto.db", "mosquitto")]
