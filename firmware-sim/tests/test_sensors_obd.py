"""OBD payloads, decoded by python-OBD's stock CAN protocol."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import obd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obd.protocols import ISO_15765_4_11bit_500k

from smartcity.contracts.streams import VEHICLE
from smartcity.sim.sensors.obd import Engine, poll
from smartcity.sim.world.city import City, CitySettings

COMMANDS = {
    "load_percent": obd.commands.ENGINE_LOAD,
    "coolant_c": obd.commands.COOLANT_TEMP,
    "rpm": obd.commands.RPM,
    "speed_kmh": obd.commands.SPEED,
    "intake_c": obd.commands.INTAKE_TEMP,
    "maf_g_s": obd.commands.MAF,
    "throttle_percent": obd.commands.THROTTLE_POS,
    "run_time_s": obd.commands.RUN_TIME,
    "fuel_percent": obd.commands.FUEL_LEVEL,
}
STEP = {
    "load_percent": 100 / 255, "coolant_c": 1, "rpm": 0.25, "speed_kmh": 1, "intake_c": 1, "maf_g_s": 0.01,
    "throttle_percent": 100 / 255, "run_time_s": 1, "fuel_percent": 100 / 255,
}  # fmt: skip
ENGINE = Engine(
    load_percent=41.2, coolant_c=88.6, rpm=1726.0, speed_kmh=63.4, intake_c=-7.2, maf_g_s=17.31, throttle_percent=23.5,
    run_time_s=4_000, fuel_percent=71.0, trouble_codes=(),
)  # fmt: skip


def decode(payload: bytes) -> dict[str, object]:
    """Values by field, as the stock parser reads the answers one after another."""
    protocol = ISO_15765_4_11bit_500k([])
    answers = payload.decode("ascii").split("\r\r>")
    assert answers.pop() == ""
    values: dict[str, object] = {}
    for (name, command), answer in zip(
        [*COMMANDS.items(), ("trouble_codes", obd.commands.GET_DTC)], answers, strict=True
    ):
        response = command(protocol([answer.strip()]))
        value = response.value
        values[name] = [code.upper() for code, _ in value] if name == "trouble_codes" else value.magnitude
    return values


def assert_agrees(engine: Engine) -> None:
    values = decode(poll(engine))
    for name, step in STEP.items():
        assert values[name] == pytest.approx(getattr(engine, name), abs=step / 2 + 1e-6), name
    assert values["trouble_codes"] == list(engine.trouble_codes)


@pytest.mark.parametrize("codes", [(), ("P0301",), ("P0171", "P0420"), ("U0100", "B1234"), ("P0AA6",)])
def test_python_obd_reads_the_same_values(codes: tuple[str, ...]) -> None:
    assert_agrees(replace(ENGINE, trouble_codes=codes))


@settings(deadline=None)
@given(
    load_percent=st.floats(0, 100), coolant_c=st.floats(-40, 215), rpm=st.floats(0, 16_383),
    speed_kmh=st.floats(0, 255), intake_c=st.floats(-40, 215), maf_g_s=st.floats(0, 655),
    throttle_percent=st.floats(0, 100), run_time_s=st.integers(0, 65_535), fuel_percent=st.floats(0, 100),
    trouble_codes=st.just(()),
)  # fmt: skip
def test_python_obd_reads_the_same_values_over_the_whole_range(**values: object) -> None:
    assert_agrees(Engine(**values))  # type: ignore[arg-type]


def test_the_exact_text_of_an_elm327() -> None:
    text = poll(replace(ENGINE, rpm=1726.0, trouble_codes=())).decode()
    assert "7E8 04 41 0C 1A F8 \r\r>" in text
    assert text.endswith("7E8 02 43 00 \r\r>")


def test_values_beyond_their_bytes_are_clipped() -> None:
    values = decode(poll(replace(ENGINE, run_time_s=90_000, speed_kmh=300.0, coolant_c=-60.0, rpm=-3.0)))
    assert (values["run_time_s"], values["speed_kmh"], values["coolant_c"], values["rpm"]) == (65_535, 255, -40, 0)


def test_engines_of_a_drive_are_plausible() -> None:
    start = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    drive = CitySettings(
        seed=3, start=start, routes=("waterloo-toronto",), vehicles=10, frame_interval_s=7_200, weather_interval_s=7_200
    )
    city = City(drive)
    polls = [one for one in city.observe(start.replace(minute=25)) if one.stream is VEHICLE]
    found = [(str(one.metadata), decode(one.payload)) for one in polls[::9]]
    combustion = [v for m, v in found if '"fuel_type":"petrol"' in m or '"fuel_type":"diesel"' in m]
    standing = [v["rpm"] for v in combustion if v["speed_kmh"] == 0]
    assert standing
    assert all(550 <= rpm <= 1_000 for rpm in standing), "idling"
    assert all(550 <= v["rpm"] <= 5_500 for v in combustion)  # type: ignore[operator]
    assert all(v["maf_g_s"] > 0.5 for v in combustion)  # type: ignore[operator]
    assert max(v["coolant_c"] for v in combustion) > 75  # type: ignore[type-var]
    electric = [v for m, v in found if '"fuel_type":"electric"' in m]
    assert electric
    assert {v["rpm"] for v in electric} == {0}
    assert max(v["speed_kmh"] for v in electric) > 40  # type: ignore[type-var]
