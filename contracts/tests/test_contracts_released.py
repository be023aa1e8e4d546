"""The contract may only grow by nullable fields at the end of what was released; and old readings stay readable."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from smartcity.contracts.envelope import HEADER_READING
from smartcity.contracts.released import PATH, Fields, breaks, current, main
from smartcity.contracts.render.jsonschema import value_schema
from smartcity.contracts.streams import CAMERA, STREAM_BY_KAFKA_TOPIC, STREAMS

ROOT = Path(__file__).parents[2]
RELEASED: dict[str, Fields] = json.loads((ROOT / PATH).read_text(encoding="utf-8"))
READINGS = (ROOT / PATH).with_name("readings-v1.jsonl")
GPS = "smartcity.gps.v1"
NEW = {"name": "tyre_pressure", "type": "number", "nullable": True, "carrier": "metadata"}


def test_the_contract_follows_what_was_released() -> None:
    assert breaks(RELEASED, current()) == []


def test_every_stream_is_released() -> None:
    assert RELEASED.keys() >= {stream.event_type for stream in STREAMS}


def test_a_nullable_field_at_the_end_is_growth() -> None:
    now = copy.deepcopy(RELEASED)
    now[GPS].append(NEW)
    assert breaks(RELEASED, now) == []


def field(fields: Fields, name: str) -> dict[str, Any]:
    return next(one for one in fields if one["name"] == name)


CHANGES: dict[str, tuple[Callable[[Fields], Any], str]] = {
    "removed": (lambda gps: gps.pop(), "vehicle_type: removed"),
    "renamed": (lambda gps: gps[-1].update(name="kind"), "vehicle_type: removed (or renamed)"),
    "another type": (lambda gps: field(gps, "satellites").update(type="number"), 'type was "integer", is "number"'),
    "nullable to required": (lambda gps: field(gps, "speed").update(nullable=False), "nullable was true, is false"),
    "required to nullable": (lambda gps: field(gps, "id").update(nullable=True), "id: nullable was false, is true"),
    "another unit": (lambda gps: field(gps, "speed").update(unit="m/s"), 'unit was "km/h", is "m/s"'),
    "a narrower range": (lambda gps: field(gps, "speed").update(maximum=300), "maximum was 500, is 300"),
    "a wider range": (lambda gps: field(gps, "speed").pop("maximum"), "maximum was 500, is not there"),
    "a choice more": (lambda gps: field(gps, "vehicle_type")["choices"].append("tram"), "choices was"),
    "another carrier": (lambda gps: field(gps, "vehicle_type").update(carrier="payload"), "carrier was"),
    "a new required field": (lambda gps: gps.append(NEW | {"nullable": False}), "tyre_pressure: new, and required"),
    "a field in between": (lambda gps: gps.insert(3, NEW), "latitude: was field 4, is field 5"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_other_change_is_refused(change: str) -> None:
    make, said = CHANGES[change]
    now = copy.deepcopy(RELEASED)
    make(now[GPS])
    assert any(said in line for line in breaks(RELEASED, now)), breaks(RELEASED, now)


def test_a_stream_that_is_gone_is_refused() -> None:
    assert breaks(RELEASED, {name: fields for name, fields in RELEASED.items() if name != GPS}) == [f"{GPS}: removed"]


def test_the_command_records_growth_and_refuses_a_break(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--root", str(tmp_path)]) == 2
    path = tmp_path / PATH
    path.parent.mkdir(parents=True)
    assert main(["--write", "--root", str(tmp_path)]) == 0
    assert json.loads(path.read_text()) == json.loads(json.dumps(current()))
    older = json.loads(path.read_text())
    older[GPS].pop()
    path.write_text(json.dumps(older))
    assert main(["--check", "--root", str(tmp_path)]) == 0
    assert main(["--write", "--root", str(tmp_path)]) == 0
    assert [one["name"] for one in json.loads(path.read_text())[GPS]][-1] == "vehicle_type"
    other = json.loads(path.read_text())
    field(other[GPS], "speed")["unit"] = "m/s"
    path.write_text(json.dumps(other))
    assert main(["--write", "--root", str(tmp_path)]) == 1
    assert json.loads(path.read_text()) == other
    assert "new major version" in capsys.readouterr().err


@pytest.mark.parametrize("line", READINGS.read_text(encoding="utf-8").splitlines())
def test_readings_of_the_first_release_obey_the_contract(line: str) -> None:
    record = json.loads(line)
    stream = STREAM_BY_KAFKA_TOPIC[record["topic"]]
    reading = dict(record["headers"])[HEADER_READING] if stream is CAMERA else record["value"]
    jsonschema.Draft202012Validator(value_schema(stream)).validate(json.loads(reading))
    assert stream is not CAMERA or base64.b64decode(record["value_base64"]).startswith(b"\xff\xd8")


def test_there_is_an_old_reading_of_every_stream() -> None:
    topics = {json.loads(line)["topic"] for line in READINGS.read_text(encoding="utf-8").splitlines()}
    assert topics == STREAM_BY_KAFKA_TOPIC.keys()
