"""TCP put in order, and MQTT found in network captures: whole, begun in mid-stream, cut, repeated, out of order."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap, wrpcapng

from smartcity.contracts import mqtt
from smartcity.edge.capture import detect, packets
from smartcity.edge.capture.detect import ReadOptions
from smartcity.edge.capture.formats.tcp import Direction
from smartcity.edge.capture.message import Findings, Message

CLIENT, BROKER = 40_000, 1883
SYN, DATA = "S", "PA"
CONNECT_5 = packets.connect_packet(client_id="c", keepalive_s=9, receive_max=9, packet_bytes_max=9_999)
CONNECT_4 = mqtt.packet(0x10, b"\0\x04MQTT\x04\x02\0\x09\0\x01c")


def publish(i: int, *, level: int = 5, payload: bytes = b"") -> bytes:
    properties = mqtt.user_property("id", f"x.{i}") if level == 5 else b""
    made = Message(0, f"devices/a/{i}", 1, False, properties, payload or f"payload {i}".encode())
    data = packets.publish_packet(made, i + 1)
    if level == 5:
        return data
    topic = mqtt.string(made.topic)
    return mqtt.packet(0x32, topic + (i + 1).to_bytes(2) + made.payload)


def frames(parts: list[tuple[str, int, bytes]], *, v6: bool = False) -> list[Any]:
    """Frames of a client; a sequence number for each, one second apart."""
    network = IPv6(src="::1", dst="::1") if v6 else IP(src="10.0.0.1", dst="10.0.0.2")
    made = []
    for i, (flags, sequence, data) in enumerate(parts):
        frame = Ether(
            bytes(Ether() / network / TCP(sport=CLIENT, dport=BROKER, seq=sequence % 2**32, flags=flags) / data)
        )
        frame.time = 1_000 + i
        made.append(frame)
    return made


def stream(chunks: list[bytes], first: int = 7) -> list[tuple[str, int, bytes]]:
    parts, at = [], first + 1
    for chunk in chunks:
        parts.append((DATA, at, chunk))
        at += len(chunk)
    return [(SYN, first, b""), *parts]


def read(path: Path, findings: Findings | None = None, **options: Any) -> list[Message]:
    return list(detect.read(path, findings or Findings(), ReadOptions(**options)))


def topics(messages: list[Message]) -> list[str]:
    return [message.topic.rpartition("/")[2] for message in messages]


@given(data=st.binary(min_size=1, max_size=200), seed=st.integers(0, 2**32), first=st.integers(0, 2**32 - 1))
def test_segments_in_any_order_repeated_and_overlapping_give_the_stream(data: bytes, seed: int, first: int) -> None:
    chance = random.Random(seed)
    cuts = sorted({0, len(data), *(chance.randrange(len(data)) for _ in range(8))})
    segments = list(itertools.pairwise(cuts))
    segments += [(max(0, start - 3), end) for start, end in segments if chance.random() < 0.5]
    chance.shuffle(segments)
    direction = Direction()
    direction.begin(first)
    pieces = []
    for start, end in segments:
        pieces += direction.add((first + 1 + start) % 2**32, data[start:end], end - start)
    pieces += direction.end()
    assert b"".join(piece.data for piece in pieces) == data
    assert {piece.gap for piece in pieces} == {0}


def test_bytes_that_never_came_are_a_gap_of_that_size() -> None:
    direction = Direction()
    direction.begin(0)
    assert [piece.data for piece in direction.add(1, b"abc", 3)] == [b"abc"]
    assert direction.add(9, b"xyz", 3) == []
    (piece,) = direction.end()
    assert (piece.data, piece.gap) == (b"xyz", 5)


@pytest.mark.parametrize("write", [wrpcap, wrpcapng])
@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("level", [4, 5])
def test_a_whole_connection_is_read_whole(tmp_path: Path, write: Any, v6: bool, level: int) -> None:
    data = (CONNECT_5 if level == 5 else CONNECT_4) + b"".join(publish(i, level=level) for i in range(20))
    chunks = [data[at : at + 33] for at in range(0, len(data), 33)]
    write(str(tmp_path / "x"), frames(stream(chunks), v6=v6))
    findings = Findings(strict=True)
    found = read(tmp_path / "x", findings)
    assert [message.payload for message in found] == [f"payload {i}".encode() for i in range(20)]
    assert found[3].properties == (mqtt.user_property("id", "x.3") if level == 5 else b"")
    assert (found[0].qos, 1_001 <= found[0].time_ns / 1e9 <= 1_010) == (1, True)


def test_retransmissions_and_disorder_change_nothing(tmp_path: Path) -> None:
    parts = stream([CONNECT_5, *(publish(i) for i in range(6))], first=2**32 - 60)  # Past the end of the numbers, too.
    parts[3], parts[4] = parts[4], parts[3]
    parts.insert(6, parts[2])
    wrpcap(str(tmp_path / "x"), frames(parts))
    findings = Findings(strict=True)
    assert topics(read(tmp_path / "x", findings)) == [str(i) for i in range(6)]
    assert findings.skipped["bytes of TCP retransmissions"] == len(parts[2][2])


@pytest.mark.parametrize("level", [4, 5])
def test_a_capture_that_begins_in_mid_stream_is_taken_up(tmp_path: Path, level: int) -> None:
    chunks = [publish(0, level=level)[9:], *(publish(i, level=level) for i in range(1, 4))]
    wrpcap(str(tmp_path / "x"), frames(stream(chunks)[1:]))
    findings = Findings()
    found = read(tmp_path / "x", findings)
    assert [message.payload for message in found] == [b"payload 1", b"payload 2", b"payload 3"]
    assert findings.skipped["TCP connections whose beginning was not captured"] == 1
    assert findings.skipped["bytes before an MQTT packet could be recognised"] == len(chunks[0])


def test_a_frame_that_was_cut_costs_its_message_alone(tmp_path: Path) -> None:
    made = frames(stream([CONNECT_5, publish(0), publish(1, payload=b"x" * 400), publish(2), publish(3)]))
    cut = Ether(bytes(made[3])[:100])
    cut.time, cut.wirelen = made[3].time, len(made[3])
    made[3] = cut
    wrpcap(str(tmp_path / "x"), made)
    findings = Findings()
    assert topics(read(tmp_path / "x", findings)) == ["0", "2", "3"]
    assert "frame 5" in findings.damages[0].position
    assert "were not captured" in findings.damages[0].what


def test_a_lost_segment_costs_its_messages_alone(tmp_path: Path) -> None:
    made = frames(stream([CONNECT_5, *(publish(i) for i in range(5))]))
    del made[3]
    wrpcap(str(tmp_path / "x"), made)
    findings = Findings()
    assert topics(read(tmp_path / "x", findings)) == ["0", "2", "3", "4"]
    assert findings.damages_total == 1


@pytest.mark.parametrize("write", [wrpcap, wrpcapng])
def test_a_file_that_is_cut_says_where(tmp_path: Path, write: Any) -> None:
    write(str(tmp_path / "x"), frames(stream([CONNECT_5, *(publish(i) for i in range(5))])))
    data = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(data[:-10])
    findings = Findings()
    assert topics(read(tmp_path / "x", findings)) == ["0", "1", "2", "3"]
    assert "the file is cut" in findings.damages[0].what


def test_what_the_broker_sends_is_left_out_and_said(tmp_path: Path) -> None:
    made = frames(stream([CONNECT_5, publish(0)]))
    back = frames([(SYN, 100, b""), (DATA, 101, b"\x20\x03\0\0\0"), (DATA, 106, publish(9))])
    for frame in back:
        frame[TCP].sport, frame[TCP].dport = BROKER, CLIENT
    wrpcap(str(tmp_path / "x"), [*made, *back])
    findings = Findings(strict=True)
    assert topics(read(tmp_path / "x", findings)) == ["0"]
    assert sum(count for what, count in findings.skipped.items() if "from-broker" in what) == 1
    assert topics(read(tmp_path / "x", way="from-broker")) == ["9"]
    assert topics(read(tmp_path / "x", way="both")) == ["0", "9"]


def test_topic_aliases_are_resolved(tmp_path: Path) -> None:
    alias = b"\x23\0\x01"
    first = packets.publish_packet(Message(0, "devices/a/x", 0, False, alias, b"1"), 0)
    second = packets.publish_packet(Message(0, "", 0, False, alias, b"2"), 0)
    wrpcap(str(tmp_path / "x"), frames(stream([CONNECT_5, first, second])))
    assert [(m.topic, m.properties, m.payload) for m in read(tmp_path / "x")] == [
        ("devices/a/x", b"", b"1"), ("devices/a/x", b"", b"2"),
    ]  # fmt: skip


def test_encrypted_bytes_are_called_so(tmp_path: Path) -> None:
    wrpcap(str(tmp_path / "x"), frames(stream([b"\x16\x03\x01\x02\0\x01" + bytes(50)])))
    findings = Findings()
    assert read(tmp_path / "x", findings) == []
    assert findings.skipped["bytes of TLS"] == 56
