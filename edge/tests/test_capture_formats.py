"""What is written is read again, byte for byte; what is broken is named by its place, and the rest is still read."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from smartcity.contracts import mqtt
from smartcity.edge.capture import detect
from smartcity.edge.capture.convert import convert
from smartcity.edge.capture.detect import ReadOptions
from smartcity.edge.capture.errors import CaptureError, DamageError
from smartcity.edge.capture.formats import csv, jsonl, mcap, protobuf
from smartcity.edge.capture.message import Findings, Message

START_NS = 1_772_452_800_123_456_789

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
topics = st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=20)
payloads = st.one_of(st.binary(max_size=300), texts.map(str.encode), st.just(b'{"a": 1.10}'), st.just(b"b64:x"))


@st.composite
def property_blocks(draw: st.DrawFn) -> bytes:
    users = draw(st.lists(st.tuples(texts, texts), max_size=4))
    parts = [mqtt.user_property(name, value) for name, value in users]
    if draw(st.booleans()):
        parts.append(b"\x03" + mqtt.string(draw(texts)))
    if draw(st.booleans()):
        parts.append(b"\x02" + draw(st.integers(0, 2**32 - 1)).to_bytes(4))
    return b"".join(parts)


@st.composite
def messages(draw: st.DrawFn, properties: st.SearchStrategy[bytes] = property_blocks()) -> Message:  # noqa: B008
    return Message(
        draw(st.integers(1, 2**62)), draw(topics), draw(st.integers(0, 2)), draw(st.booleans()), draw(properties),
        draw(payloads),
    )  # fmt: skip


def some(count: int, payload_bytes: int = 40) -> list[Message]:
    """Messages with properties, a tenth of a second apart."""
    return [
        Message(
            START_NS + i * 100_000_000, f"devices/veh-{i % 3}/gps", 1, False,
            mqtt.user_property("senttime", f"2026-03-02T12:00:{i % 60:02d}.000000Z"),
            bytes((i % 251,)) * payload_bytes,
        )
        for i in range(count)
    ]  # fmt: skip


def write(made: list[Message], path: Path, name: str) -> Path:
    path.unlink(missing_ok=True)
    convert(iter(made), path, name, overwrite=False)
    return path


def read(path: Path, findings: Findings | None = None, **options: object) -> list[Message]:
    return list(detect.read(path, findings or Findings(strict=True), ReadOptions(**options)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats") / "named-for-nothing"


@settings(max_examples=60, deadline=None)
@given(made=st.lists(messages(), min_size=1, max_size=8))
def test_mcap_keeps_everything(scratch: Path, made: list[Message]) -> None:
    assert read(write(made, scratch, "mcap")) == made


@settings(max_examples=60, deadline=None)
@given(made=st.lists(messages(), min_size=1, max_size=8))
def test_json_lines_keep_everything(scratch: Path, made: list[Message]) -> None:
    assert read(write(made, scratch, "jsonl")) == made


@settings(max_examples=60, deadline=None)
@given(made=st.lists(messages(st.just(b"")), min_size=1, max_size=8))
def test_csv_keeps_everything_but_properties(scratch: Path, made: list[Message]) -> None:
    assert read(write(made, scratch, "csv")) == made


def test_csv_says_how_many_messages_lost_their_properties(tmp_path: Path) -> None:
    assert convert(iter(some(3)), tmp_path / "x", "csv", overwrite=False).properties_lost == 3


@given(made=messages())
def test_a_message_in_mcap_is_protobuf_for_others_too(made: Message) -> None:
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(protobuf.definition())
    pool.Add(files.file[0])
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(protobuf.SCHEMA_NAME))
    theirs = kind.FromString(protobuf.encode(made))
    assert (theirs.qos, theirs.retain, theirs.properties, theirs.payload) == (
        made.qos, made.retain, made.properties, made.payload,
    )  # fmt: skip
    assert protobuf.decode(theirs.SerializeToString(), made.topic, made.time_ns) == made


def test_mcap_tools_see_topics_and_both_times(tmp_path: Path) -> None:
    with write(some(5), tmp_path / "x", "mcap").open("rb") as file:
        found = [
            (channel.topic, entry.log_time, entry.publish_time)
            for _, channel, entry in make_reader(file).iter_messages()
        ]
    assert found[1] == ("devices/veh-1/gps", START_NS + 100_000_000, 1_772_452_801_000_000_000)


@pytest.mark.parametrize("value", [b"", b"\0\0", b"\0\xff2026", b"\0\x05never", b"\0\x14001-01-01T00:00:00Z"])
def test_a_broken_senttime_is_none(value: bytes) -> None:
    assert mcap.sent_ns(b"\x26\0\x08senttime" + value) is None


def test_an_mcap_file_that_is_cut_anywhere_gives_what_is_whole(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    made = some(400, payload_bytes=9_000)
    write(made, whole, "mcap")
    data, given_before = whole.read_bytes(), 0
    cut = tmp_path / "cut"
    for size in range(len(mcap.MAGIC) + 1, len(data), max(1, len(data) // 150)):
        cut.write_bytes(data[:size])
        findings = Findings()
        found = read(cut, findings)
        assert found == made[: len(found)]
        assert len(found) >= given_before
        given_before = len(found)
        assert findings.damages_total == 1
    assert given_before == 400


def test_one_flipped_byte_costs_one_chunk(tmp_path: Path) -> None:
    made = some(400, payload_bytes=9_000)
    path = write(made, tmp_path / "x", "mcap")
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes(data)
    findings = Findings()
    found = read(path, findings)
    assert findings.damages_total == 1
    assert findings.damages[0].position.startswith("byte ")
    assert len(found) > 100
    assert found == made[-len(found) :]
    with pytest.raises(DamageError, match="byte"):
        read(path)


def test_foreign_mcap_channels_are_payloads(tmp_path: Path) -> None:
    from mcap.writer import Writer  # noqa: PLC0415

    with (tmp_path / "x").open("wb") as file:
        writer = Writer(file)
        writer.start()
        channel = writer.register_channel("camera/info", "json", 0)
        writer.add_message(channel, 5, b"{}", 5)
        writer.finish()
    assert read(tmp_path / "x") == [Message(5, "camera/info", 0, False, b"", b"{}")]


def test_chunks_before_the_span_are_not_needed(tmp_path: Path) -> None:
    path = write(some(400, payload_bytes=9_000), tmp_path / "x", "mcap")
    later = read(path, from_ns=START_NS + 39_000_000_000)
    assert 0 < len(later) < 400
    assert later[-1].time_ns == START_NS + 399 * 100_000_000


# As mosquitto_sub 2.0.11 prints them.
AS_J = (
    '{"tst":"2026-11-25T10:15:44.128082Z+0000","topic":"a/b","qos":1,"retain":0,"payloadlen":%d,"mid":1,'
    '"properties":{"user-properties":{"id":"x.1"},"content-type":"application/json","message-expiry-interval":60},'
    '"payload":%s}'
)


@pytest.mark.parametrize(
    ("length", "printed", "payload"),
    [
        (10, '"hello \\"w\\"\\n"', b'hello "w"\n'),  # -F %j quotes
        (22, '"{\\"a\\": 1.10, \\"b\\":[1,2]}"', b'{"a": 1.10, "b":[1,2]}'),
        (7, '{"a":1}', b'{"a":1}'),  # -F %J does not
        (5, '"str"', b'"str"'),
        (3, '"str"', b"str"),
        (4, "12.5", b"12.5"),
        (4, "null", b"null"),
        (0, '""', b""),
    ],
)
def test_what_mosquitto_sub_prints_is_read(tmp_path: Path, length: int, printed: str, payload: bytes) -> None:
    (tmp_path / "x").write_text(AS_J % (length, printed) + "\n\n")
    properties = mqtt.user_property("id", "x.1") + b"\x03" + mqtt.string("application/json") + b"\x02\0\0\0\x3c"
    assert read(tmp_path / "x") == [Message(1795601744128082000, "a/b", 1, False, properties, payload)]


def test_json_that_mosquitto_sub_wrote_anew_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(AS_J % (9, '{"a":1.1}') + "\n" + AS_J % (10, '{"a":1.1}') + "\n")
    findings = Findings()
    assert [message.payload for message in read(tmp_path / "x", findings)] == [b'{"a":1.1}'] * 2
    assert list(findings.skipped.values()) == [1]


def test_bytes_that_were_no_text_are_read_where_all_are_there(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes((AS_J % (2, '"??"')).encode().replace(b"??", b"\xff\xfe") + b"\n")
    assert [message.payload for message in read(tmp_path / "x")] == [b"\xff\xfe"]


def test_broken_lines_are_named_and_the_others_read(tmp_path: Path) -> None:
    good = (AS_J % (2, '"ok"') + "\n").encode()
    bad = b'{"tst":"2026-11-25T10:15:44Z","topic":"a/b"\n'
    (tmp_path / "x").write_bytes(good + bad + b'{"topic":"a"}\n' + good + good[:60])
    findings = Findings()
    assert len(read(tmp_path / "x", findings)) == 2
    assert [damage.position for damage in findings.damages] == [
        f"line 2, byte {len(good)}", f"line 3, byte {len(good) + len(bad)}",
        f"line 5, byte {2 * len(good) + len(bad) + 14}",
    ]  # fmt: skip
    assert "cut" in findings.damages[2].what


def test_headerless_rows_with_text_and_with_base64(tmp_path: Path) -> None:
    rows = [f"devices/a/gps,{{}},{i % 3},{i % 2 == 0},{1_700_000_000 + i}.25,0.5" for i in range(3)]
    plain = tmp_path / "plain"
    plain.write_text("\r\n".join(row.format('"$GPRMC,1*00, ""x"""') for row in rows))
    assert read(plain)[1] == Message(1700000001250000000, "devices/a/gps", 1, False, b"", b'$GPRMC,1*00, "x"')
    coded = tmp_path / "coded"
    payload = bytes(range(0, 250, 7))
    coded.write_text("\n".join(row.format(base64.b64encode(payload).decode()) for row in rows))
    assert {message.payload for message in read(coded)} == {payload}
    assert read(coded, base64_payload=False)[0].payload == base64.b64encode(payload)


def test_rows_with_a_header(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(
        "timestamp,topic,payload,qos,retain\n"
        "2026-03-02T12:00:00.123456Z,a/b,hello,1,true\n"
        '1700000000.5,a/c,"two\nlines",0,false\n'
        "2026-03-02T12:00:00+01:00,a/d,b64:/w==,2,0\n"
    )
    assert [(m.time_ns, m.payload, m.qos, m.retain) for m in read(tmp_path / "x")] == [
        (1772452800123456000, b"hello", 1, True),
        (1700000000500000000, b"two\nlines", 0, False),
        (1772449200000000000, b"\xff", 2, False),
    ]


@pytest.mark.parametrize(
    ("bad", "place", "what"),
    [
        (b"2026-03-02T12:00:00Z,a/b,hello,1\n", "line 3, byte 80", "4 columns, not 5"),
        (b"2026-03-02T12:00:00Z,a/b,hel\xfflo,1,true\n", "line 3, byte 108", "not UTF-8"),
        (b"yesterday,a/b,hello,1,true\n", "line 3, byte 80", "not a time"),
        (b"2026-03-02T12:00:00Z,a/#,hello,1,true\n", "line 3, byte 80", "no topic"),
        (b"2026-03-02T12:00:00Z,a/b,hello,3,true\n", "line 3, byte 80", "QoS"),
        (b"2026-03-02T12:00:00Z,a/b,b64:%,1,true\n", "line 3, byte 80", "base64"),
        (b"2026-03-02T12:00:00Z,a/b,hello,1,perhaps\n", "line 3, byte 80", "retain"),
    ],
)
def test_a_broken_row_is_named_and_the_others_read(tmp_path: Path, bad: bytes, place: str, what: str) -> None:
    good = b"2026-03-02T12:00:00.123456Z,a/b,hello,1,true\n"
    (tmp_path / "x").write_bytes(b"timestamp,topic,payload,qos,retain\n" + good + bad + good)
    findings = Findings()
    assert len(read(tmp_path / "x", findings)) == 2
    assert [(damage.position, what in damage.what) for damage in findings.damages] == [(place, True)]
    with pytest.raises(DamageError, match=place):
        read(tmp_path / "x")


@pytest.mark.parametrize("content", [b"", b" \n\n"])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(CaptureError, match="empty"):
        read(tmp_path / "x")


def test_what_is_no_capture_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "x.mcap").write_bytes(b"PK\x03\x04 is a zip")
    with pytest.raises(CaptureError, match=r"byte 0.*|no capture"):
        read(tmp_path / "x.mcap")
    (tmp_path / "y").write_bytes(mcap.MAGIC[:5])
    with pytest.raises(CaptureError, match="byte 5"):
        read(tmp_path / "y")


def test_json_lines_show_properties_as_mosquitto_sub_does() -> None:
    file = io.BytesIO()
    jsonl.write(some(1)[0], file)
    document = json.loads(file.getvalue())
    assert document["properties"] == {"user-properties": {"senttime": "2026-03-02T12:00:00.000000Z"}}
    assert "properties_b64" not in document


def test_a_writer_replaces_nothing_by_itself(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("precious")
    for name in ("mcap", "jsonl", "csv"):
        with pytest.raises(CaptureError, match="exists"):
            convert(iter(some(1)), tmp_path / "x", name, overwrite=False)
    assert (tmp_path / "x").read_text() == "precious"


def test_base64_is_only_taken_for_it_where_nothing_else_is_likely() -> None:
    assert csv.all_base64(["AAAA", "QUJDREVGR0hJSktMTU5P"])
    assert not csv.all_base64(["1234", "5678"])
    assert not csv.all_base64(["QUJDREVGR0hJSktMTU5P", "text, not base64"])


def test_a_file_is_full_before_its_index_fills_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcap, "INDEX_ENTRIES_MAX", 10)
    writer = mcap.McapWriter(tmp_path / "x")
    for _ in range(4):
        assert not writer.full
        for message in some(9):  # Three topics.
            writer.write(message)
        writer.flush()
    assert writer.full
    writer.close()


def test_the_recorded_drive_holds_every_kind_of_payload() -> None:
    made = read(Path(__file__).parents[1] / "fixtures" / "drive.mcap")
    leaves = {message.topic.rpartition("/")[2] for message in made}
    assert leaves == {"gps", "obd", "frame", "weather", "status"}
    assert all(message.payload[:2] == b"\xff\xd8" for message in made if message.topic.endswith("/frame"))
    assert len([message for message in made if not message.topic.endswith("/status")]) == 157
