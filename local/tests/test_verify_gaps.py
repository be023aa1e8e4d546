"""Without logs: gaps in the sequence, and what the devices' status explains of them."""

from __future__ import annotations

from smartcity.contracts.status import Status
from smartcity.local.verify.gaps import Gap, find_gaps

BOOT = "00000000000000aa"
OTHER = "00000000000000bb"


def ids(*sequences: int, boot: str = BOOT, device: str = "veh-1") -> list[tuple[str, str]]:
    return [(device, f"{boot}.{sequence}") for sequence in sequences]


def status(sequence: int, **counts: int) -> Status:
    return Status(state="offline", boot=BOOT, sequence=sequence, **counts)


def test_a_full_sequence_over_all_tables_has_no_gap() -> None:
    report = find_gaps({"gps": ids(1, 3, 4), "dead_letters": ids(2)}, {"veh-1": status(4)})
    assert report.clean
    assert report.missing == 0
    assert report.seen == {"gps": 3, "dead_letters": 1}


def test_a_hole_is_lost() -> None:
    report = find_gaps({"gps": ids(1, 2, 5)}, {"veh-1": status(5)})
    assert report.gaps == (Gap(device_id="veh-1", boot=BOOT, first=3, last=4),)
    assert (report.missing, report.unaccounted, report.clean) == (2, 2, False)


def test_the_status_tells_what_is_missing_at_the_end() -> None:
    assert find_gaps({"gps": ids(1, 2)}, {}).clean
    assert find_gaps({"gps": ids(1, 2)}, {}).without_status == 1
    assert find_gaps({"gps": ids(1, 2)}, {"veh-1": status(5)}).gaps == (
        Gap(device_id="veh-1", boot=BOOT, first=3, last=5),
    )


def test_what_the_device_still_has_or_gave_up_is_not_lost() -> None:
    report = find_gaps({"gps": ids(1)}, {"veh-1": status(5, pending=2, refused=1, dropped=1)})
    assert (report.missing, report.unaccounted, report.clean) == (4, 0, True)
    assert find_gaps({"gps": ids(1)}, {"veh-1": status(5, pending=2)}).unaccounted == 2


def test_a_device_of_which_nothing_arrived_is_seen_through_its_status() -> None:
    assert find_gaps({}, {"veh-1": status(3)}).missing == 3


def test_boots_and_devices_are_apart_and_foreign_ids_take_no_part() -> None:
    rows = [*ids(1), *ids(1, 2, boot=OTHER), *ids(2, device="veh-2"), ("x", "foreign-" + "0" * 32)]
    report = find_gaps({"gps": rows}, {})
    assert report.gaps == (Gap(device_id="veh-2", boot=BOOT, first=1, last=1),)
    assert report.boots == 3
    assert find_gaps({"gps": rows}, {}, boots=[OTHER]).clean
