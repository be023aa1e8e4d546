"""Plans of faults: what a file may say, when a fault strikes, and what it makes of a reading."""

from __future__ import annotations

import functools
import io
import json
import operator
import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pynmea2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from smartcity.contracts.envelope import parse_time
from smartcity.contracts.streams import CAMERA, GPS, VEHICLE, WEATHER, Stream
from smartcity.sim.faults import payload
from smartcity.sim.faults.inject import Injector
from smartcity.sim.faults.kinds import KINDS
from smartcity.sim.faults.plan import EXAMPLE, load_plan, read_plan
from smartcity.sim.faults.schedule import Schedule
from smartcity.sim.main import main
from smartcity.sim.observation import Observation
from smartcity.sim.outbox import Outbox
from smartcity.sim.world.city import City, CitySettings

START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


@functools.cache
def readings() -> tuple[Observation, ...]:
    """Five minutes of a vehicle, its cameras, stations and responders."""
    city = City(
        CitySettings(
            seed=3,
            start=START,
            routes=("waterloo-toronto",),
            vehicles=1,
            frame_interval_s=100,
            weather_interval_s=20,
            departures_s=1,
        )
    )
    return tuple(city.observe(START + timedelta(minutes=5)))


def of(stream: Stream) -> list[Observation]:
    return [one for one in readings() if one.stream is stream]


def strike(plan: str, seed: int = 1) -> list[Observation]:
    injector = Injector(read_plan(plan, "plan.toml"), seed=seed, start=START)
    return [injector.strike(one) for one in readings()]


def struck(plan: str, kind: str) -> Iterator[tuple[Observation, Observation]]:
    """Readings before and after, of those that this kind struck; all others must be as they were."""
    found = 0
    for before, after in zip(readings(), strike(plan), strict=True):
        if any(one.kind == kind for one in after.faults):
            found += 1
            yield before, after
        else:
            assert after == before
    assert found


# The file.


def test_the_example_parses_and_holds_every_kind() -> None:
    assert {fault.kind for fault in load_plan(EXAMPLE).faults} == set(KINDS)


def test_the_example_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faults"]) == 0
    assert capsys.readouterr().out == EXAMPLE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        ("", ["no [[fault]] table"]),
        ("fault = []", ["no [[fault]] table"]),
        ("[[fault]", ["not TOML", "line 1"]),
        ("sed = 1\n[[fault]]\nkind='duplicate'", ["'sed'", "did you mean seed"]),
        ("seed = 'x'\n[[fault]]\nkind='duplicate'", ["seed is 'x'", "whole number"]),
        ("[[fault]]\ndevices='*'", ["fault 1", "no `kind`"]),
        ("[[fault]]\nkind='duplicate'\n[[fault]]\nkind='ofline'", ["fault 2", "'ofline'", "did you mean offline"]),
        ("[[fault]]\nkind=3", ["kind is 3", "one of"]),
        ("[[fault]]\nkind='duplicate'\nprobabilty=1", ["(duplicate)", "probabilty = 1", "did you mean probability"]),
        ("[[fault]]\nkind='duplicate'\nprobability=1.5", ["probability = 1.5", "within 0 to 1"]),
        ("[[fault]]\nkind='duplicate'\nprobability=nan", ["probability = nan"]),
        ("[[fault]]\nkind='duplicate'\nprobability=true", ["probability = True", "a number"]),
        ("[[fault]]\nkind='duplicate'\nskew_s=1", ["skew_s", "unknown key"]),
        ("[[fault]]\nkind='duplicate'\nstream='sonar'", ["sonar", "gps"]),
        ("[[fault]]\nkind='duplicate'\ndevices=[]", ["devices = []"]),
        ("[[fault]]\nkind='offline'", ["does not say when"]),
        ("[[fault]]\nkind='offline'\nfrom='1m'\nprobability=1", ["probability", "unknown key"]),
        ("[[fault]]\nkind='offline'\nfrom='soon'", ["from = 'soon'", '"10m"', "RFC 3339"]),
        ("[[fault]]\nkind='offline'\nfrom=2026-03-02T07:00:00", ["from = 2026-03-02T07:00:00", "RFC 3339"]),
        ("[[fault]]\nkind='offline'\nfrom='2m'\nto='1m'", ["to = '1m'", "not after"]),
        ("[[fault]]\nkind='offline'\nevery='1m'", ["`every` and `for` together"]),
        ("[[fault]]\nkind='offline'\nevery='1m'\nfor='0s'", ["for = '0s'", "above 0"]),
        ("[[fault]]\nkind='offline'\nevery='1m'\nfor='2m'", ["for = '2m'", "longer than"]),
        ("[[fault]]\nkind='clock_skew'", ["needs `skew_s`"]),
        ("[[fault]]\nkind='clock_skew'\nskew_s=0", ["skew_s = 0", "other than 0"]),
        ("[[fault]]\nkind='clock_skew'\nskew_s='1h'", ["skew_s = '1h'", "a number"]),
        ("[[fault]]\nkind='reorder'\ndelay_readings_max=2.5", ["delay_readings_max = 2.5", "whole number"]),
        ("[[fault]]\nkind='oversize_frame'\npayload_bytes=99999999", ["payload_bytes", "16777216"]),
        ("[[fault]]\nkind='stuck_sensor'\nfrom='1m'\nstream='weather'\nvalue='rpm'", ["'rpm'", "temperature"]),
        ("[[fault]]\nkind='stuck_sensor'\nfrom='1m'\nstream=['weather','vehicle']", ["one stream"]),
        ("[[fault]]\nkind='corrupt_sentence'\ndevices='wt-vh-*'", ["'wt-vh-*'", "none of", "wt-veh-001"]),
    ],
)
def test_a_mistake_in_a_plan_is_named(
    plan: str, named: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(plan)
    assert main(["generate", "--duration", "1", "--faults", str(path)]) == 2
    error = capsys.readouterr().err
    for text in [str(path), *named]:
        assert text in error
    assert error.count("\n") == 1


def test_a_plan_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--faults", str(tmp_path / "none.toml"), "--state", str(tmp_path)]) == 2
    assert "none.toml: No such file" in capsys.readouterr().err


def test_times_are_offsets_or_rfc_3339() -> None:
    plans = (
        "from='1h1m'",
        "from='61m'",
        "from='3660s'",
        "from='2026-03-02T08:01:00Z'",
        "from=2026-03-02T09:01:00+01:00",
    )
    for plan in plans:
        (fault,) = read_plan(f"[[fault]]\nkind='offline'\n{plan}", "plan").faults
        assert fault.schedule.anchored(START).begin == START + timedelta(minutes=61)


# When.


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(0, 60), st.integers(0, 5_000), st.integers())
def test_a_recurring_spell_comes_once_in_each_interval(lasts_s: int, slack_s: int, second: int, seed: int) -> None:
    every = timedelta(seconds=lasts_s + slack_s)
    schedule = Schedule(every=every, lasts=timedelta(seconds=lasts_s)).anchored(START)
    interval = START + (timedelta(seconds=second) // every) * every
    times = [interval + timedelta(seconds=s) for s in range(int(every.total_seconds()))]
    spells = [schedule.spell(time, seed, "d") for time in times]
    assert len({spell for spell in spells if spell}) == 1
    assert sum(spell is not None for spell in spells) == lasts_s
    for time, spell in zip(times, spells, strict=True):
        assert spell is None or spell[0] <= time < spell[1]


def test_devices_do_not_have_their_spells_together() -> None:
    schedule = Schedule(every=timedelta(minutes=10), lasts=timedelta(seconds=10)).anchored(START)
    times = [START + timedelta(seconds=s) for s in range(600)]
    begins = {next(filter(None, (schedule.spell(time, 1, device) for time in times))) for device in range(20)}
    assert len(begins) > 10


def test_a_window_ends_where_it_says() -> None:
    (fault,) = read_plan("[[fault]]\nkind='offline'\nfrom='60s'\nto='120s'", "plan").faults
    schedule = fault.schedule.anchored(START)
    inside = [s for s in range(200) if schedule.spell(START + timedelta(seconds=s))]
    assert inside == list(range(60, 120))


# What it makes of a reading.


def test_a_plan_repeats_and_another_seed_strikes_elsewhere() -> None:
    plan = EXAMPLE.read_text(encoding="utf-8").replace("seed = 7", "")
    assert strike(plan, 1) == strike(plan, 1)
    assert strike(plan, 1) != strike(plan, 2)
    assert strike(f"seed = 1\n{plan}", 5) == strike(plan, 1)


def test_generate_repeats_with_a_plan_and_is_itself_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def digest(*arguments: str) -> object:
        assert main(["generate", "--duration", "120", *arguments]) == 0
        return json.loads(capsys.readouterr().out)["sha256"]

    plan = ("--faults", str(EXAMPLE))
    assert digest(*plan) == digest(*plan) != digest()


def test_one_fault_does_not_shift_another() -> None:
    one = "[[fault]]\nkind='duplicate'\nprobability=0.3\n"
    other = "[[fault]]\nkind='reorder'\nprobability=0.5\n[[fault]]\nkind='clock_skew'\nskew_s=5\nprobability=0.5\n"

    def duplicated(plan: str) -> list[bool]:
        return [any(mark.kind == "duplicate" for mark in after.faults) for after in strike(plan)]

    assert duplicated(one) == duplicated(one + other)
    pair = [sum(mark.kind == "duplicate" for mark in after.faults) for after in strike(one + one)]
    assert pair.count(1) > pair.count(2) > 0, "two faults of one kind strike on their own"
    share = sum(duplicated(one)) / len(readings())
    assert 0.2 < share < 0.4


def test_a_dropout_is_what_a_receiver_without_a_fix_prints() -> None:
    for before, after in struck("[[fault]]\nkind='gps_dropout'\nfrom='60s'\nto='120s'", "gps_dropout"):
        assert after.time == before.time
        if after.stream is VEHICLE:
            continue
        lines = after.payload.decode("ascii").split("\r\n")[:-1]
        found = {line[3:6]: pynmea2.parse(line, check=True) for line in lines}
        assert set(found) == {"RMC", "GGA", "GSA", "GSV", "VTG"}
        assert found["RMC"].status == "V"
        assert found["GGA"].gps_qual == 0
        assert not any(found[kind].lat or found[kind].lon for kind in ("RMC", "GGA"))
        assert found["RMC"].datetime == before.time


def test_during_a_dropout_obd_names_the_latest_fix() -> None:
    latest = [one for one in of(VEHICLE) if one.time < START + timedelta(seconds=60)][-1]
    wanted = json.loads(latest.metadata or "")
    seen = 0
    for before, after in struck("[[fault]]\nkind='gps_dropout'\nfrom='60s'\nto='120s'", "gps_dropout"):
        if after.stream is VEHICLE:
            seen += 1
            assert after.payload == before.payload
            found = json.loads(after.metadata or "")
            assert (found["latitude"], found["longitude"]) == (wanted["latitude"], wanted["longitude"])
            assert found["make"] == wanted["make"]
    assert seen > 40


def test_without_any_fix_yet_obd_names_none() -> None:
    pairs = list(struck("[[fault]]\nkind='gps_dropout'", "gps_dropout"))
    found = [json.loads(after.metadata or "") for _, after in pairs if after.stream is VEHICLE]
    assert {one["latitude"] for one in found} == {None}


@pytest.mark.parametrize("value", ["speed", "rpm", "coolant_temperature", "maf"])
def test_a_stuck_obd_value_is_the_first_of_the_spell(value: str) -> None:
    window = (START + timedelta(seconds=100), START + timedelta(seconds=300))
    first, *later = [one for one in of(VEHICLE) if window[0] <= one.time < window[1]]
    truth = payload.reading_of(first.payload, VEHICLE, value)
    pairs = list(struck(f"[[fault]]\nkind='stuck_sensor'\nfrom='100s'\nto='300s'\nvalue='{value}'", "stuck_sensor"))
    assert [before for before, _ in pairs] == later
    for before, after in pairs:
        assert payload.reading_of(after.payload, VEHICLE, value) == truth
        restored = payload.with_reading(
            after.payload, VEHICLE, value, payload.reading_of(before.payload, VEHICLE, value)
        )
        assert restored == before.payload
    assert any(before.payload != after.payload for before, after in pairs)


def test_a_stuck_weather_value_changes_nothing_else() -> None:
    plan = "[[fault]]\nkind='stuck_sensor'\nstream='weather'\nvalue='wind_speed'\nfrom='10s'"
    for before, after in struck(plan, "stuck_sensor"):
        was, shown = json.loads(before.payload), json.loads(after.payload)
        assert {**shown, "wind_speed": was["wind_speed"]} == was
        same_station = [json.loads(one.payload) for one in of(WEATHER) if one.device_id == after.device_id]
        assert shown["wind_speed"] == same_station[0]["wind_speed"]


@pytest.mark.parametrize("skew_s", [-7200, 90_000, 0.25])
def test_a_wrong_clock_is_wrong_in_envelope_and_payload(skew_s: float) -> None:
    seen: Counter[str] = Counter()
    for before, after in struck(f"[[fault]]\nkind='clock_skew'\nskew_s={skew_s}", "clock_skew"):
        shown = before.time + timedelta(seconds=skew_s)
        assert after.time == shown
        seen[after.stream.name] += 1
        if after.stream is GPS:
            for line in after.payload.decode("ascii").split("\r\n")[:-1]:
                sentence = pynmea2.parse(line, check=True)
                if line[3:6] == "RMC":
                    assert sentence.datetime == shown
                if line[3:6] == "GGA":
                    assert sentence.timestamp.replace(tzinfo=None) == shown.time()
        elif after.stream is WEATHER:
            document = json.loads(after.payload)
            assert parse_time("timestamp", document["timestamp"]) == shown
            assert {**document, "timestamp": json.loads(before.payload)["timestamp"]} == json.loads(before.payload)
        else:
            assert after.stream in (VEHICLE, CAMERA) or b"timestamp" in after.payload
    assert {"gps", "vehicle", "camera", "weather"} <= set(seen)


def test_a_corrupt_sentence_has_one_wrong_digit_and_a_wrong_checksum() -> None:
    positions = set()
    for before, after in struck("[[fault]]\nkind='corrupt_sentence'\nprobability=0.5", "corrupt_sentence"):
        changed = [i for i, pair in enumerate(zip(before.payload, after.payload, strict=True)) if pair[0] != pair[1]]
        assert len(changed) == 1
        positions.add(changed[0])
        bodies = [line[1:].split(b"*") for line in after.payload.split(b"\r\n")[:-1]]
        wrong = [f"{functools.reduce(operator.xor, body, 0):02X}".encode() != sum_ for body, sum_ in bodies]
        assert wrong.count(True) == 1
    assert len(positions) > 20


@given(st.integers(0, 8) | st.integers(65_530, 65_545) | st.integers(131_070, 131_080))
@settings(max_examples=60, deadline=None)
def test_a_padded_frame_has_that_size_and_is_the_same_picture(more_bytes: int) -> None:
    frame = of(CAMERA)[0].payload
    larger = payload.padded(frame, len(frame) + more_bytes)
    assert len(larger) == len(frame) + (more_bytes if more_bytes >= 4 else 0)
    before, after = (Image.open(io.BytesIO(one)) for one in (frame, larger))
    assert after.tobytes() == before.tobytes()


def test_a_frame_that_is_large_already_is_not_struck() -> None:
    plan = "[[fault]]\nkind='oversize_frame'\npayload_bytes=1024"
    assert tuple(strike(plan)) == readings()


def test_faults_on_one_reading_add_up_and_the_checksum_stays_wrong() -> None:
    plan = "[[fault]]\nkind='corrupt_sentence'\n[[fault]]\nkind='gps_dropout'\n[[fault]]\nkind='clock_skew'\nskew_s=60"
    for after in strike(plan):
        if after.stream is GPS:
            assert [one.fault for one in after.faults] == [2, 3, 1]
            with pytest.raises(pynmea2.ChecksumError):
                [pynmea2.parse(line, check=True) for line in after.payload.decode("ascii").split("\r\n")[:-1]]


def test_readings_of_a_spell_are_named_offline() -> None:
    plan = "[[fault]]\nkind='offline'\ndevices='wt-veh-001'\nfrom='60s'\nto='90s'"
    for before, after in struck(plan, "offline"):
        assert after.payload == before.payload
        assert 60 <= (after.time - START).total_seconds() < 90
    injector = Injector(read_plan(plan, "plan"), seed=1, start=START)
    assert injector.goes_offline("wt-veh-001")
    assert not injector.goes_offline("wt-veh-002")
    assert [injector.offline("wt-veh-001", START + timedelta(seconds=s)) for s in (59, 60, 89, 90)] == [
        False, True, True, False,
    ]  # fmt: skip


# The log.


def test_an_outbox_of_the_first_version_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    Outbox(path).close()
    with sqlite3.connect(path) as db:
        db.executescript("DROP TABLE faults; PRAGMA user_version = 1; INSERT INTO boots VALUES ('d', 'b', 5);")
    Outbox(path).close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM faults").fetchone() == (0,)
        assert db.execute("SELECT device_id FROM boots").fetchall() == [("d",)]
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
