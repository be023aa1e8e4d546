"""Dead letters without Spark: a real Glue and S3 endpoint, a table written by pyiceberg, ways back that only note."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError

from smartcity.contracts.tables import DEAD_LETTERS_TABLE
from smartcity.lake.deadletters import Letter, Wanted, read_letters
from smartcity.lake.deadletters_command import bytes_text, letter_text
from smartcity.lake.deadletters_redrive import CLAIMS_PREFIX, LETTERS_AT_ONCE, Claims, Failure, redrive
from smartcity.lake.deadletters_ways import _confirmed
from smartcity.lake.errors import EXIT_USAGE
from smartcity.lake.main import main
from smartcity.lake.s3 import s3_client
from smartcity.lake.settings import Storage

RECEIVED = datetime(2026, 11, 21, 8, tzinfo=UTC)
BOOT = "0123456789abcdef"
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("reason", "detail", "refused_by", "device_id", "id", "mqtt_topic")),
        ("properties", pa.string()),
        ("payload", pa.binary()),
        ("payload_sha256", pa.string()),
        ("received_at", pa.timestamp("us", tz="UTC")),
        ("kafka_topic", pa.string()),
        ("kafka_partition", pa.int64()),
        ("kafka_offset", pa.int64()),
    ]
)
_offsets = itertools.count()
_buckets = itertools.count()


def letter(sequence: int | None = 1, **changes: Any) -> Letter:
    """A dead letter of the bridge; with `sequence` None of a device without an envelope."""
    payload = changes.pop("payload", f"payload {sequence}".encode())
    pairs = [] if sequence is None else [["id", f"{BOOT}.{sequence}"], ["source", "/devices/car-1"]]
    values: dict[str, Any] = {
        "reason": "checksum_invalid", "detail": "RMC", "refused_by": "bridge", "device_id": "car-1",
        "id": None if sequence is None else f"{BOOT}.{sequence}", "mqtt_topic": "devices/car-1/gps",
        "properties": json.dumps(pairs), "payload": payload, "payload_sha256": hashlib.sha256(payload).hexdigest(),
        "received_at": RECEIVED, "kafka_topic": "dead_letters", "kafka_partition": 0, "kafka_offset": next(_offsets),
    }  # fmt: skip
    return Letter(**values | changes)


def of_lake(**changes: Any) -> Letter:
    given = {"refused_by": "lake", "kafka_topic": "gps_data", "mqtt_topic": None, "reason": "record_unparseable"}
    return letter(None, **given | changes)


class Noting:
    """A way that notes what it was given, and fails as told."""

    def __init__(self) -> None:
        self.sent: list[Letter] = []
        self.calls = 0
        self.failure: Failure | None = None

    def send(self, letters: Sequence[Letter]) -> dict[str, Failure]:
        self.calls += 1
        self.sent += letters
        return {} if self.failure is None else dict.fromkeys([each.key for each in letters], self.failure)


@pytest.fixture
def place(storage: Storage) -> Storage:
    own = dataclasses.replace(storage, bucket=f"letters-{next(_buckets)}")
    s3_client(own).create_bucket(Bucket=own.bucket)
    return own


@pytest.fixture
def back(place: Storage) -> Callable[..., dict[str, int]]:
    """Re-drives letters over the noting way, and returns the counts."""

    def run(way: Noting, *letters: Letter, again: bool = False) -> dict[str, int]:
        ways = {"bridge": way, "lake": way}
        return dict(+redrive(letters, ways, Claims(place), again=again, progress=lambda _: None))

    return run


def test_a_letter_sent_twice_goes_once(back: Any) -> None:
    way, one, foreign = Noting(), letter(1), letter(None)
    assert back(way, one, foreign, of_lake()) == {"sent": 3}
    assert back(way, one, foreign) == {"already": 2}
    assert len(way.sent) == 3
    assert back(way, one, again=True) == {"sent": 1}


def test_a_message_that_was_refused_again_is_one_message(back: Any) -> None:
    way, first = Noting(), letter(2)
    compact = json.dumps(json.loads(first.properties or ""), separators=(",", ":"))
    again = dataclasses.replace(
        first, kafka_offset=next(_offsets), received_at=RECEIVED + timedelta(1), properties=compact
    )
    assert again.properties != first.properties
    assert back(way, first, again) == {"sent": 1, "repeated": 1}
    assert back(way, again) == {"already": 1}
    assert back(way, first, again, again=True) == {"sent": 1, "repeated": 1}


def test_equal_messages_without_an_id_are_different_readings(back: Any) -> None:
    assert back(Noting(), letter(None), letter(None)) == {"sent": 2}


def test_what_was_not_confirmed_is_sent_again_only_if_it_has_an_id(back: Any) -> None:
    way, known, foreign = Noting(), letter(3), letter(None)
    way.failure = Failure(why="no receipt", may_have_arrived=True)
    assert back(way, known, foreign) == {"failed": 2}
    way.failure = None
    assert back(way, known, foreign) == {"sent": 1, "unclear": 1}
    assert back(way, foreign, again=True) == {"sent": 1}


def test_what_certainly_did_not_arrive_is_free_again(back: Any) -> None:
    way, foreign = Noting(), letter(None)
    way.failure = Failure(why="too large", may_have_arrived=False)
    assert back(way, foreign) == {"failed": 1}
    way.failure = None
    assert back(way, foreign) == {"sent": 1}
    way.failure = Failure(why="too large", may_have_arrived=False)
    assert back(way, foreign, again=True) == {"failed": 1}
    assert back(way, foreign) == {"already": 1}, "the first time stays known"


def test_of_several_runs_at_once_one_alone_sends_a_message(place: Storage) -> None:
    letters = [letter(None) for _ in range(10)]
    ways = [Noting() for _ in range(4)]
    start = threading.Barrier(len(ways))

    def run(way: Noting) -> None:
        start.wait()
        redrive(letters, {"bridge": way}, Claims(place), again=False, progress=lambda _: None)

    threads = [threading.Thread(target=run, args=(way,)) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    sent = [each.place for way in ways for each in way.sent]
    assert sorted(sent) == sorted(each.place for each in letters)


def test_letters_are_sent_in_portions(back: Any) -> None:
    way = Noting()
    assert back(way, *(letter(n) for n in range(1, LETTERS_AT_ONCE + 11))) == {"sent": LETTERS_AT_ONCE + 10}
    assert way.calls == 2


@pytest.mark.parametrize(
    ("each", "why"),
    [
        (letter(1, detail="RMC (the payload's 9000000 bytes are cut to 2097152)"), "cut"),
        (letter(1, detail="x (3 user properties are left out)"), "cut"),
        (letter(1, mqtt_topic=None), "MQTT topic"),
        (of_lake(properties='[["ce_id",null]]'), "'ce_id' was not text"),
        (of_lake(payload=b""), "empty"),
    ],
)
def test_what_cannot_go_back_as_it_came_is_named(back: Any, place: Storage, each: Letter, why: str) -> None:
    way = Noting()
    assert back(way, each) == {"impossible": 1}
    assert why in (each.obstacle() or "")
    assert way.sent == []
    assert "Contents" not in s3_client(place).list_objects_v2(Bucket=place.bucket, Prefix=CLAIMS_PREFIX)


def test_a_receipt_confirms_what_it_names_and_nothing_else() -> None:
    wanted = {("car-1", BOOT, n): letter(n) for n in (1, 2, 3)}
    receipt = json.dumps({BOOT: [[2, 3]], "other": [[1, 1]]}).encode()
    assert _confirmed("car-1", receipt, wanted) == [("car-1", BOOT, 2), ("car-1", BOOT, 3)]
    assert _confirmed("car-2", receipt, wanted) == []
    assert _confirmed("car-1", b"not a receipt", wanted) == []


def test_only_a_letter_of_the_topics_own_device_waits_for_a_receipt() -> None:
    assert letter(7).identity == ("car-1", BOOT, 7)
    assert letter(7, mqtt_topic="devices/car-2/gps").identity is None
    assert letter(None).identity is None
    assert of_lake(id=f"{BOOT}.1").identity is None


@pytest.fixture
def table(place: Storage) -> Callable[[Sequence[Letter]], None]:
    """Writes letters as the only ones of the table."""
    places = {"glue.endpoint": place.endpoint, "s3.endpoint": place.s3_endpoint, "client.region": place.region}
    catalog = GlueCatalog("lake", **places)

    def write(letters: Sequence[Letter]) -> None:
        with contextlib.suppress(NamespaceAlreadyExistsError):
            catalog.create_namespace("smartcity")
        with contextlib.suppress(NoSuchTableError):
            catalog.drop_table(("smartcity", DEAD_LETTERS_TABLE))
        made = catalog.create_table(
            ("smartcity", DEAD_LETTERS_TABLE), _SCHEMA, location=f"s3://{place.bucket}/warehouse/letters"
        )
        made.append(pa.Table.from_pylist([dataclasses.asdict(each) for each in letters], schema=_SCHEMA))

    return write


def test_letters_are_read_as_they_are_and_by_what_is_asked(place: Storage, table: Any) -> None:
    odd = letter(2, payload=b"\x00\xff", device_id="it's", received_at=RECEIVED + timedelta(hours=2))
    frame = letter(3, mqtt_topic="devices/car-1/frame", reason="payload_undecodable")
    letters = [letter(1), odd, frame, of_lake()]
    table(letters)

    def places(**wanted: Any) -> list[str]:
        return sorted(each.place for each in read_letters(place, Wanted(**wanted), with_payload=False))

    found = list(read_letters(place, Wanted(), with_payload=True))
    assert sorted(found, key=lambda each: each.place) == sorted(letters, key=lambda each: each.place)
    assert places(reason="payload_undecodable") == places(stream="camera") == [frame.place]
    assert places(stream="gps", refused_by="lake") == [letters[3].place]
    assert (
        places(since=RECEIVED + timedelta(hours=1)) == places(device="it's") == places(place=odd.place) == [odd.place]
    )
    assert places(until=RECEIVED) == []
    assert odd.place not in places(until=RECEIVED + timedelta(hours=2))


def test_the_commands_list_show_and_count(place: Storage, table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    letters = [letter(1), letter(1), letter(5, received_at=RECEIVED + timedelta(hours=1)), of_lake()]
    table(letters)
    bucket = ["--bucket", place.bucket]
    assert main(["deadletters", "list", "--limit", "1", "--json", *bucket]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["counts"][0] == {
        "reason": "checksum_invalid", "refused_by": "bridge", "stream": "gps", "letters": 3
    }  # fmt: skip
    assert [each["place"] for each in listed["newest"]] == [letters[2].place]
    assert main(["deadletters", "list", *bucket]) == 0
    assert "The newest 4 of 4" in capsys.readouterr().out
    assert main(["deadletters", "show", letters[2].place, *bucket]) == 0
    assert "payload 5" in capsys.readouterr().out
    assert main(["deadletters", "show", "dead_letters/0/999999", *bucket]) == 1
    assert main(["deadletters", "redrive", "--stream", "gps", "--refused-by", "bridge", "--dry-run", *bucket]) == 0
    assert "3 letters of 2 messages" in capsys.readouterr().out
    assert main(["deadletters", "redrive", *bucket]) == EXIT_USAGE
    assert main(["deadletters", "redrive", "--all", "--mqtt", "127.0.0.1:9", *bucket]) == 1
    assert "127.0.0.1:9 does not answer" in capsys.readouterr().err
    assert "Contents" not in s3_client(place).list_objects_v2(Bucket=place.bucket, Prefix=CLAIMS_PREFIX)


def test_bytes_are_shown_as_text_where_they_are_text() -> None:
    assert bytes_text("$GPRMC,ä\r\n".encode()) == "$GPRMC,ä\r\n"
    assert bytes_text(b"\xff\xd8AB") == f"00000000  {'ff d8 41 42':<47}  ..AB"
    text = letter_text(letter(1, payload=bytes(5000)), 16)
    assert "5000 bytes, the first 16 of them:" in text
    assert "source: /devices/car-1" in text
