"""What the bridge's decoder makes of every reading that a plan struck. Starts nothing."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from smartcity.bridge.check import check
from smartcity.bridge.decode import decode_reading
from smartcity.bridge.errors import Reject
from smartcity.contracts.envelope import Envelope
from smartcity.sim.faults.inject import Injector
from smartcity.sim.faults.plan import read_plan
from smartcity.sim.observation import Observation
from smartcity.sim.world.city import City, CitySettings

START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
NOW = START + timedelta(hours=1)
PLAN = """
[[fault]]
kind = "gps_dropout"
from = "60s"
to = "120s"

[[fault]]
kind = "corrupt_sentence"
from = "120s"
to = "180s"

[[fault]]
kind = "clock_skew"
from = "180s"
to = "210s"
skew_s = 86400

[[fault]]
kind = "clock_skew"
from = "210s"
skew_s = -86400

[[fault]]
kind = "stuck_sensor"
from = "60s"

[[fault]]
kind = "stuck_sensor"
stream = "weather"
from = "60s"

[[fault]]
kind = "oversize_frame"
payload_bytes = 500_000
"""


def test_each_fault_has_the_outcome_that_it_is_for() -> None:
    settings = CitySettings(
        seed=4,
        start=START,
        routes=("london-birmingham",),
        vehicles=2,
        frame_interval_s=300,
        weather_interval_s=20,
        departures_s=1,
    )
    injector = Injector(read_plan(PLAN, "plan"), seed=4, start=START)
    outcomes: Counter[tuple[frozenset[str], str]] = Counter()
    for sequence, observation in enumerate(City(settings).observe(START + timedelta(minutes=5)), 1):
        struck = injector.strike(observation)
        kinds = frozenset(one.kind for one in struck.faults)
        if "clock_skew" in kinds:
            kinds = frozenset({"ahead" if struck.time > observation.time else "late"})
        outcomes[kinds - {"stuck_sensor", "oversize_frame"}, outcome(struck, sequence)] += 1
    gone = {(kinds, result) for kinds, result in outcomes if result not in ("row", "row without a position")}
    assert gone == {
        (frozenset({"corrupt_sentence"}), "checksum_invalid"),
        (frozenset({"ahead"}), "event_time_ahead"),
    }
    assert outcomes[frozenset({"gps_dropout"}), "row without a position"] == 120
    assert outcomes[frozenset({"gps_dropout"}), "row"] == 120, "OBD readings, which name the latest fix"
    assert outcomes[frozenset({"late"}), "row"] > 300
    assert not outcomes[frozenset(), "row without a position"]


def outcome(struck: Observation, sequence: int) -> str:
    envelope = Envelope(
        boot="0" * 16,
        sequence=sequence,
        device_id=struck.device_id,
        event_type=struck.stream.event_type,
        time=struck.time,
    )
    try:
        reading = decode_reading(struck.stream, envelope, struck.device_id, struck.payload, struck.metadata, NOW)
        check(reading, NOW)
    except Reject as refusal:
        return str(refusal.reason)
    return "row without a position" if getattr(reading, "latitude", None) is None else "row"
