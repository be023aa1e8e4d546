"""Recorder and replayer against a real Mosquitto: identity, passivity, kills, lost connections, terminal, memory."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from smartcity.contracts import mqtt
from smartcity.contracts.mqtt import user_property
from smartcity.edge.capture import detect, packets
from smartcity.edge.capture.connection import Broker, Connection
from smartcity.edge.capture.detect import ReadOptions
from smartcity.edge.capture.formats.mcap import McapWriter
from smartcity.edge.capture.message import Findings, Message
from smartcity.edge.capture.packets import publish_packet
from smartcity.edge.main import main

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]

COMMAND = [sys.executable, "-m", "smartcity.edge.main"]
RSS_BYTES_MAX = 100 * 1024 * 1024
BOOT = "0123456789abcdef"


class Mosquitto:
    """A broker that forgets nothing but with its process."""

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
        assert binary, "mosquitto is not installed; run: make setup"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\n"
        )
        self._binary = binary
        self._log = (folder / "mosquitto.log").open("ab")
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen([self._binary, "-c", str(self._config)], stdout=self._log, stderr=self._log)
        wait_for(self._answers, "Mosquitto")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


class Client:
    """Publishes, or listens, without the recorder and the replayer."""

    def __init__(self, mosquitto: Mosquitto, *filters: str) -> None:
        broker = Broker(host="127.0.0.1", port=mosquitto.port, client_id=f"test-{time.monotonic_ns()}")
        self.connection = Connection(broker)
        self.heard: list[Message] = []
        self.acknowledged = 0
        if filters:
            self.connection.subscribe(filters, 2, self._hear)

    def publish(self, messages: list[Message]) -> None:
        window = 10  # Mosquitto's Receive Maximum is 20 by default.
        for at in range(0, len(messages), window):
            part = messages[at : at + window]
            wanted = self.acknowledged + sum(message.qos > 0 for message in part)
            for i, message in enumerate(part):
                self.connection.send(publish_packet(message, i + 1))
            wait_for(lambda wanted=wanted: self.turn() or self.acknowledged >= wanted, "acknowledgements")

    def turn(self) -> None:
        self.connection.wait(0.02)
        self.connection.read(self._hear)

    def _hear(self, first: int, buffer: bytes, start: int, end: int) -> None:
        kind = first & 0xF0
        answer = b""
        if kind in (mqtt.PUBACK, mqtt.PUBCOMP):
            self.acknowledged += 1
        elif kind == mqtt.PUBREC:
            answer = mqtt.acknowledgement(mqtt.PUBREL, int.from_bytes(buffer[start : start + 2]))
        elif kind == mqtt.PUBREL:
            answer = mqtt.acknowledgement(mqtt.PUBCOMP, int.from_bytes(buffer[start : start + 2]))
        elif kind == mqtt.PUBLISH:
            message, packet_id = packets.parse_publish(first, buffer, start, end, time_ns=time.time_ns())
            self.heard.append(message)
            if message.qos:
                answer = mqtt.acknowledgement(mqtt.PUBACK if message.qos == 1 else mqtt.PUBREC, packet_id)
        if answer:
            self.connection.send(answer)


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.01)


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    """A test that fails leaves no recorder behind."""
    yield
    for process in STARTED:
        if process.poll() is None:
            process.kill()
            process.communicate()
    STARTED.clear()


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    running = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    yield running
    running.kill()


def traffic(count: int, *, tree: str = "devices", step_ns: int = 1_000_000) -> list[Message]:
    """Readings of three devices, some frames, all QoS, one retained."""
    made = []
    for i in range(count):
        leaf, payload = ("frame", os.urandom(12_000)) if i % 20 == 0 else ("gps", b"reading %d" % i)
        properties = user_property("id", f"{BOOT}.{i + 1}") + user_property("source", f"/devices/veh-{i % 3}")
        made.append(
            Message(
                1_700_000_000_000_000_000 + i * step_ns, f"{tree}/veh-{i % 3}/{leaf}", (1, 1, 1, 2, 0)[i % 5],
                i == 7, properties, payload,
            )
        )  # fmt: skip
    return made


def write(messages: list[Message], path: Path) -> Path:
    writer = McapWriter(path)
    for message in messages:
        writer.write(message)
    writer.close()
    return path


def read(path: Path, findings: Findings | None = None) -> list[Message]:
    return list(detect.read(path, findings or Findings(strict=True), ReadOptions()))


def per_topic(messages: list[Message]) -> dict[str, list[tuple[object, ...]]]:
    """All of a message but its time, in the order of its topic and QoS (MQTT orders no further)."""
    found: dict[str, list[tuple[object, ...]]] = defaultdict(list)
    for message in messages:
        found[f"{message.topic} {message.qos}"].append(message[2:])
    return dict(found)


class Recording:
    """`smartcity-edge record` as a process."""

    def __init__(self, mosquitto: Mosquitto, path: Path, name: str, *more: str) -> None:
        self.path = path
        command = [*COMMAND, "record", str(path), "--broker", mosquitto.address, "--topic", name, "--json", *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        STARTED.append(self.process)
        # It listens once a retained message was handed to it, or the file has a beginning: subscribe and see.
        probe = Client(mosquitto)
        topic = name.replace("#", "probe")
        while not (
            path.exists() and path.stat().st_size and any(message.topic == topic for message in read(path, Findings()))
        ):
            probe.publish([Message(0, topic, 1, False, b"", b"")])
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.2)
        probe.connection.close()

    def finish(self) -> dict[str, object]:
        self.process.send_signal(signal.SIGTERM)
        output, errors = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, errors
        document: dict[str, object] = json.loads(output)
        return document

    def messages(self, findings: Findings | None = None) -> list[Message]:
        return [message for message in read(self.path, findings) if not message.topic.endswith("/probe")]


def replay(mosquitto: Mosquitto, path: Path, *more: str, code: int = 0) -> dict[str, object]:
    command = [*COMMAND, "replay", str(path), "--broker", mosquitto.address, "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == code, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize("speed", ["1", "10"])
def test_what_is_recorded_is_replayed_byte_for_byte_in_order(mosquitto: Mosquitto, tmp_path: Path, speed: str) -> None:
    tree = f"speed-{speed}"
    first = Recording(mosquitto, tmp_path / "first.mcap", f"{tree}/#")
    made = traffic(1_500, tree=tree)
    write(made, tmp_path / "made.mcap")
    replay(mosquitto, tmp_path / "made.mcap")
    wait_for(lambda: len(first.messages(Findings())) >= len(made), "the recorder to have it all")
    first.finish()
    assert per_topic(first.messages()) == per_topic(made)

    second = Recording(mosquitto, tmp_path / "second.mcap", f"{tree}-again/#")
    report = replay(mosquitto, first.path, "--speed", speed, "--remap", f"{tree}/={tree}-again/")
    wait_for(lambda: len(second.messages(Findings())) >= len(made), "the second recorder to have it all")
    second.finish()
    expected = [message._replace(topic=message.topic.replace(tree, f"{tree}-again")) for message in made]
    again = second.messages()
    # The broker gives one message back that it had retained when the second recorder came: the same, and marked so.
    assert per_topic(again) == per_topic(expected)
    assert report["messages"] == len(read(first.path))
    took = (first.messages()[-1].time_ns - first.messages()[0].time_ns) / 1e9 / float(speed)
    assert float(str(report["seconds"])) >= 0.9 * took


def test_a_killed_recorder_keeps_all_but_the_last_second(mosquitto: Mosquitto, tmp_path: Path) -> None:
    recording = Recording(mosquitto, tmp_path / "x.mcap", "killed/#")
    client = Client(mosquitto)
    made = traffic(500, tree="killed")
    client.publish(made)
    published_at = time.monotonic()
    wait_for(lambda: len(recording.messages(Findings())) == len(made), "the flush", timeout_s=5)
    assert time.monotonic() - published_at < 3
    client.publish(traffic(5, tree="killed"))
    recording.process.kill()
    recording.process.communicate()
    findings = Findings()
    found = recording.messages(findings)
    assert per_topic(found[: len(made)]) == per_topic(made)
    assert findings.damages_total == 1
    assert "not finished" in findings.damages[0].what or "cut" in findings.damages[0].what


def test_a_recorder_takes_nothing_from_a_persistent_session_and_publishes_nothing(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    session = ["mosquitto_sub", "-p", str(mosquitto.port), "-i", "bridge", "-c", "-q", "1", "-t", "passive/#"]
    subprocess.run([*session, "-E"], check=True, timeout=20)
    listener = Client(mosquitto, "#", "$SYS/broker/publish/messages/received")
    recording = Recording(mosquitto, tmp_path / "x.mcap", "passive/#")
    made = [Message(0, "passive/a", 1, False, b"", b"%d" % i) for i in range(50)]
    Client(mosquitto).publish(made)
    wait_for(lambda: len(recording.messages(Findings())) == 50, "the recorder")
    recording.finish()
    wait_for(lambda: listener.turn() or sum(m.topic == "passive/a" for m in listener.heard) >= 50, "the listener")
    assert {message.topic for message in listener.heard} - {"$SYS/broker/publish/messages/received"} <= {
        "passive/a", "passive/probe", *(message.topic for message in listener.heard if message.retain),
    }  # fmt: skip
    kept = subprocess.run([*session, "-W", "2"], capture_output=True, text=True, check=False)  # It ends by time.
    assert [line for line in kept.stdout.split("\n") if line] == [str(i) for i in range(50)]


def test_a_recorder_outlives_its_broker_and_names_the_gap(tmp_path: Path) -> None:
    own = Mosquitto(tmp_path)
    try:
        recording = Recording(own, tmp_path / "x.mcap", "gap/#")
        own.kill()
        own.start()
        client = Client(own)
        wait_for(
            lambda: (
                client.publish([Message(0, "gap/back", 1, False, b"", b"")])
                or any(message.topic == "gap/back" for message in recording.messages(Findings()))
            ),
            "the recorder to be back",
        )
        assert recording.finish()["gaps"] == 1
        findings = Findings(strict=True)
        recording.messages(findings)
        assert "had no connection from" in findings.notes[0]
    finally:
        own.kill()


def test_of_two_recorders_with_one_client_id_one_ends_and_says_so(mosquitto: Mosquitto, tmp_path: Path) -> None:
    paths = {}
    for name in ("first", "second"):
        path = tmp_path / f"{name}.mcap"
        arguments = [
            "record",
            str(path),
            "--broker",
            mosquitto.address,
            "--topic",
            "twice/#",
            "--client-id",
            "the-same",
        ]
        process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        STARTED.append(process)
        paths[process] = path
    wait_for(lambda: any(process.poll() is not None for process in paths), "one of them to end")
    [ended] = [process for process in paths if process.poll() is not None]
    [left] = paths.keys() - {ended}
    _, errors = ended.communicate()
    assert ended.returncode == 1
    assert "another client connects as us" in errors
    assert "Traceback" not in errors
    assert read(paths[ended], Findings(strict=True)) == []  # Its file has its end.
    client = Client(mosquitto)

    def heard() -> list[Message]:
        client.publish([Message(0, "twice/a", 1, False, b"", b"after")])
        return read(paths[left], Findings())

    wait_for(heard, "the other to go on")
    assert left.poll() is None


def test_files_rotate_by_time_and_lose_nothing(mosquitto: Mosquitto, tmp_path: Path) -> None:
    recording = Recording(mosquitto, tmp_path / "x.mcap", "rotate/#", "--rotate-every", "1s")
    client, sent = Client(mosquitto), 0
    while len(list(tmp_path.glob("x*.mcap"))) < 3:
        client.publish([Message(0, "rotate/a", 1, False, b"", b"%d" % sent)])
        sent += 1

    def found() -> list[int]:
        paths = [tmp_path / name for name in ("x.mcap", "x-2.mcap", "x-3.mcap", "x-4.mcap")]
        held = [
            message for path in paths if path.exists() and path.stat().st_size for message in read(path, Findings())
        ]
        return [int(message.payload) for message in held if message.topic == "rotate/a"]

    wait_for(lambda: sent - 1 in found(), "the recorder to have it all")
    assert recording.finish()["files"] == len(list(tmp_path.glob("x*.mcap")))
    assert found() == list(range(sent))


def test_a_broker_that_dies_in_mid_replay_gets_what_it_did_not_confirm(tmp_path: Path) -> None:
    own = Mosquitto(tmp_path)
    try:
        made = [Message(i * 2_000_000, "again/a", 1, False, b"", b"%d" % i) for i in range(1_500)]
        path = write([message._replace(time_ns=message.time_ns + 10**18) for message in made], tmp_path / "x.mcap")
        listener = Client(own, "again/#")
        command = [*COMMAND, "replay", str(path), "--broker", own.address, "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        STARTED.append(process)
        wait_for(lambda: listener.turn() or len(listener.heard) > 300, "the first messages")
        own.kill()
        own.start()
        back = Client(own, "again/#")
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        document = json.loads(output)
        assert (document["reconnections"], document["unconfirmed"], document["messages"]) == (1, 0, 1_500)
        wait_for(lambda: back.turn() or any(m.payload == b"1499" for m in back.heard), "the last message")
        assert "connected again" in errors
        later = [int(message.payload) for message in back.heard]
        assert later == sorted(later)
    finally:
        own.kill()


def test_loop_and_restamp_make_new_readings_and_receipts_stay_out(mosquitto: Mosquitto, tmp_path: Path) -> None:
    made = traffic(30, tree="devices", step_ns=5_000_000)
    made += [
        Message(made[-1].time_ns, topic, 1, False, b"", b"no") for topic in ("receipts/veh-1", "devices/veh-1/status")
    ]
    path = write(made, tmp_path / "x.mcap")
    listener = Client(mosquitto, "devices/#", "receipts/#")
    listener.heard.clear()
    command = [*COMMAND, "replay", str(path), "--broker", mosquitto.address, "--loop", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    STARTED.append(process)
    wait_for(lambda: listener.turn() or len(listener.heard) > 75, "the third pass")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(output)["left_out"]["receipts"] >= 2
    pairs = [dict(mqtt.user_properties(message.properties)) for message in listener.heard if message.properties]
    assert not [message for message in listener.heard if message.payload == b"no"]
    ids = [pair["id"] for pair in pairs if "originalid" in pair]
    assert len(ids) == len(set(ids)) > 60
    assert {pair["originalid"].partition(".")[0] for pair in pairs if "originalid" in pair} == {BOOT}


def test_space_pauses_and_resumes_on_a_terminal_and_q_ends(mosquitto: Mosquitto, tmp_path: Path) -> None:
    made = [Message(10**18 + i * 10_000_000, "paused/a", 0, False, b"", b"") for i in range(6_000)]
    path = write(made, tmp_path / "x.mcap")
    listener = Client(mosquitto, "paused/#")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [*COMMAND, "replay", str(path), "--broker", mosquitto.address])
    try:
        wait_for(lambda: listener.turn() or len(listener.heard) > 20, "the first messages")
        os.write(terminal, b" ")
        said = b""
        while b"paused" not in said:
            said += os.read(terminal, 1000)
        quiet_since, count = time.monotonic(), -1
        while time.monotonic() - quiet_since < 0.7:  # It must stay as it is for so long.
            listener.turn()
            if len(listener.heard) != count:
                quiet_since, count = time.monotonic(), len(listener.heard)
            assert count < 1_000
        os.write(terminal, b" ")
        wait_for(lambda: listener.turn() or len(listener.heard) > count + 20, "messages again")
        os.write(terminal, b"q")
        while b"pacing error" not in said:
            said += os.read(terminal, 1000)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_a_large_capture_replays_in_constant_memory(mosquitto: Mosquitto, tmp_path: Path) -> None:
    writer = McapWriter(tmp_path / "x.mcap")
    for i in range(8_000):
        writer.write(Message(10**18 + i, f"large/{i % 50}", 1, False, b"", os.urandom(15_000)))
    writer.close()
    assert (tmp_path / "x.mcap").stat().st_size > 110_000_000
    command = [*COMMAND, "replay", str(tmp_path / "x.mcap"), "--broker", mosquitto.address, "--speed", "max", "--json"]
    process = psutil.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss)
        except psutil.Error:
            break
        time.sleep(0.01)
    assert json.loads(process.communicate()[0])["messages"] == 8_000
    assert 10_000_000 < peak <= RSS_BYTES_MAX


def test_a_broken_capture_is_replayed_as_far_as_it_is_whole(
    mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(traffic(50, tree="broken"), tmp_path / "x.mcap")
    path.write_bytes(path.read_bytes()[:-300])
    arguments = ["replay", str(path), "--broker", mosquitto.address, "--quiet"]
    assert main(arguments) == 0
    output = capsys.readouterr()
    assert "50 messages" in output.out
    assert "damaged at byte" in output.err
    assert main([*arguments, "--strict"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_what_the_broker_cannot_read_ends_a_replay_instead_of_being_sent_for_ever(
    mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Message(5, "devices/veh-0/gps", 1, False, b"\xff\x00", b"x")  # No property of MQTT 5.
    path = write([*traffic(3), broken], tmp_path / "x.mcap")
    began = time.monotonic()
    assert main(["replay", str(path), "--broker", mosquitto.address, "--speed", "max", "--quiet"]) == 1
    assert "it cannot read what was sent (reason code 0x81)" in capsys.readouterr().err
    assert time.monotonic() - began < 10


def test_a_reader_that_closes_early_is_no_error(tmp_path: Path) -> None:
    path = write([message._replace(topic=f"{message.topic}/{i}") for i, message in enumerate(traffic(2_000))],
                 tmp_path / "x.mcap")  # fmt: skip
    info = subprocess.Popen([*COMMAND, "info", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    STARTED.append(info)
    assert info.stdout is not None
    info.stdout.close()
    assert info.stderr is not None
    assert "Traceback" not in info.stderr.read()


def test_mistakes_are_messages(mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(traffic(3), tmp_path / "x.mcap")
    (tmp_path / "empty").touch()
    for arguments, said in (
        (["replay", str(path), "--broker", "127.0.0.1:1"], "no broker answers"),
        (["replay", str(tmp_path / "empty")], "is empty"),
        (["info", str(tmp_path / "none")], "cannot read"),
        (["replay", str(path), "--topic", "none", "--broker", mosquitto.address], "nothing to send"),
        (["record", str(path), "--broker", mosquitto.address], "exists"),
        (["record", str(tmp_path / "y"), "--topic", "a/#/b", "--broker", mosquitto.address], "no topic filter"),
    ):
        assert main(arguments) == 1
        assert said in capsys.readouterr().err
