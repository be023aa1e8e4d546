"""The whole way of a reading, through the real Mosquitto, bridge, Kafka, Spark and lake, while things are broken.

One drive is shared by all tests of this module; the fixture `drive` makes it, kills the bridge and the lake's driver
while it lasts, and publishes what must not pass. The tests then look at what came of it, in the order of the file.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from smartcity.aws.questions import QUESTIONS
from smartcity.aws.settings import from_environment
from smartcity.aws.warehouse import open_warehouse
from smartcity.contracts.envelope import METADATA_PROPERTY, format_time
from smartcity.contracts.marts import MARTS
from smartcity.contracts.streams import STREAM_BY_NAME, STREAMS
from smartcity.contracts.topics import reading_topic
from smartcity.lake.settings import read_storage
from smartcity.local.counts import KafkaCounter, LogCounter
from smartcity.local.demo import fill_warehouse
from smartcity.local.demo_drive import SIMULATOR, START
from smartcity.local.marts import await_marts, hurry_marts
from smartcity.local.questions import ask_both
from smartcity.local.reach import at_lake
from smartcity.local.stack import Stack
from smartcity.local.verify.audit import Scope, audit
from smartcity.local.verify.expected import envelope_of
from smartcity.local.verify.generated import GeneratedReader, Logged, find_logs, select_boots
from smartcity.local.verify.lake import Lake, LakeAccess
from smartcity.local.verify.report import Report

from .conftest import BROKEN_NMEA, kill, wait_for

pytestmark = [pytest.mark.end_to_end, pytest.mark.broker, pytest.mark.spark, pytest.mark.timeout(600)]

SEED = 20261121
SIMULATED_S = 1_800
SPEED = 75
"""24 seconds of real time: long enough for two kills in between."""
READINGS_MIN = 5_000
ARRIVAL_TIMEOUT_S = 120
HAND = "by-hand"
LOADED = "SELECT mart, day, etag FROM ops.loaded_days ORDER BY mart, day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """What the shared drive left behind."""

    state: Path
    lake: Lake
    report: Report
    random_bytes: bytes
    large: dict[str, subprocess.CompletedProcess[str]]
    """How `mosquitto_pub` of five megabytes ended, by protocol version."""


@pytest.fixture(scope="module")
def lake(stack: Stack) -> Lake:
    return Lake(LakeAccess.from_environment(stack.environment()))


@pytest.fixture(scope="module")
def drive(stack: Stack, lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Drive:
    print(f"seed {SEED}")
    addresses = stack.addresses()
    state = stack.layout.var / "sim" / "end-to-end"
    noise = random.Random(SEED).randbytes(64)
    command = [str(SIMULATOR), "run", "--broker", addresses.mqtt, "--state", str(state)]
    command += ["--seed", "7", "--start", format_time(START), "--speed", str(SPEED)]
    command += ["--duration", str(SIMULATED_S), "--drain-timeout-s", "90", "--quiet", "--json"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        wait_for(lambda: generated(state) > READINGS_MIN / 10, 30, "the devices' first readings")
        broken = tmp_path_factory.mktemp("by-hand")
        publish(stack, f"devices/{HAND}/gps", BROKEN_NMEA, broken, "mqttv5")
        publish(stack, f"devices/{HAND}/gps", BROKEN_NMEA, broken, "mqttv311")
        publish(stack, "devices/x/obd", noise, broken, "mqttv5")
        large = {
            version: publish(stack, f"devices/{HAND}/frame", bytes(5_000_000), broken, version, check=False)
            for version in ("mqttv5", "mqttv311")
        }
        wait_for(lambda: generated(state) > READINGS_MIN / 3, 60, "a third of the drive")
        kill(stack, "bridge")
        wait_for(lambda: generated(state) > READINGS_MIN * 2 / 3, 60, "two thirds of the drive")
        kill(stack, "lake")
        output, _ = simulator.communicate(timeout=180)
    finally:
        if simulator.poll() is None:
            simulator.kill()
            simulator.wait()
    assert simulator.returncode == 0, "the devices could not deliver everything"
    assert json.loads(output)["pending"] == 0
    report = audit(lake, Scope(folders=(state,)), wait_s=ARRIVAL_TIMEOUT_S, progress=print)
    return Drive(state=state, lake=lake, report=report, random_bytes=noise, large=large)


def test_every_reading_is_in_the_lake_exactly_once_and_unaltered(drive: Drive) -> None:
    report = drive.report
    assert report.settled, report.document()
    assert report.lake == report.generated
    assert sum(report.generated.values()) >= READINGS_MIN
    assert all(report.generated[stream.name] for stream in STREAMS)
    assert report.frames > 0
    assert report.refused == report.dropped == report.unproven == 0
    assert report.balance()[0] == report.balance()[1]


def test_verify_says_the_same_as_json(stack: Stack, drive: Drive) -> None:
    done = smartcity(stack, "verify", "--json", "--strict", "--state", str(drive.state), "--wait-s", "5")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(drive.report.document()))


@pytest.mark.parametrize(
    ("device", "count", "reasons"),
    [(HAND, 2, {"checksum_invalid"}), ("x", 1, {"payload_undecodable"})],
)
def test_what_is_broken_is_kept_with_its_reason(drive: Drive, device: str, count: int, reasons: set[str]) -> None:
    columns = ("device_id", "reason", "refused_by", "payload", "mqtt_topic")
    rows = [row for batch in drive.lake.batches("dead_letters", columns, None) for row in batch.to_pylist()]
    found = [row for row in rows if row["device_id"] == device]
    assert len(found) == count
    assert {row["reason"] for row in found} == reasons
    wanted = {HAND: BROKEN_NMEA, "x": drive.random_bytes}[device]
    assert [row["payload"] for row in found] == [wanted] * count


def test_dead_letters_are_listed_at_the_running_stack(stack: Stack, drive: Drive) -> None:
    done = smartcity(stack, "lake", "deadletters", "list", "--device", HAND, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["newest"][0]["reason"] == "checksum_invalid"


def test_five_megabytes_are_refused_at_the_gateway(drive: Drive) -> None:
    sizes = [
        len(row["payload"])
        for batch in drive.lake.batches("dead_letters", ("payload",), None)
        for row in batch.to_pylist()
    ]
    assert max(sizes) < 5_000_000
    # MQTT 3.1.1 knows no limit: the gateway breaks the connection. In MQTT 5 CONNACK tells it, and nothing is sent.
    assert drive.large["mqttv311"].returncode != 0
    assert "connection was lost" in drive.large["mqttv311"].stderr
    assert "CONNACK (0)" in drive.large["mqttv5"].stdout
    assert "PUBLISH" not in drive.large["mqttv5"].stdout


def test_athena_counts_what_verify_counts(stack: Stack, drive: Drive) -> None:
    boots = ", ".join(f"'{boot}'" for _, boot in sorted(select_boots(find_logs([drive.state]))))
    union = " UNION ALL ".join(
        f"SELECT '{s.name}' AS stream, id FROM {s.table} WHERE split_part(id, '.', 1) IN ({boots})" for s in STREAMS
    )
    done = smartcity(stack, "query", "--json", f"SELECT stream, count(*) AS n FROM ({union}) t GROUP BY stream")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert {row["stream"]: row["n"] for row in rows} == drive.report.lake


def test_a_wrong_query_is_a_message_not_a_traceback(stack: Stack, drive: Drive) -> None:
    done = smartcity(stack, "query", "SELECT nothing FROM nowhere")
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_readings_sent_again_stay_single(stack: Stack, drive: Drive) -> None:
    logs = find_logs([drive.state])
    bodies = list(GeneratedReader(logs, select_boots(logs)).bodies())
    again = random.Random(SEED).sample(bodies, 300)
    before = records(stack)
    send_again(stack, again)
    wait_for(lambda: records(stack) >= before + len(again), 60, "Kafka to have the copies")
    # A batch reads all topics up to their ends, so when this one is in the lake, the copies before it were read.
    letters = drive.lake.total_records()["dead_letters"]
    send_again(stack, [], then=b"the copies end here")
    wait_for(lambda: drive.lake.total_records()["dead_letters"] > letters, 90, "the lake to have read the copies")
    report = audit(drive.lake, Scope(folders=(drive.state,)), progress=print)
    assert report.settled, report.document()
    assert report.lake == drive.report.lake


def test_a_batch_planned_while_kafka_told_too_little_does_not_stop_the_lake(stack: Stack, drive: Drive) -> None:
    """As left in the checkpoint by a foreign Kafka that answered on the port of a killed one."""
    s3, bucket = s3_of(stack)
    prefix = "checkpoints/stream/offsets/"

    def newest() -> int:
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
        return max(int(name) for key in keys if (name := key.removeprefix(prefix)).isdecimal())

    planned = newest()
    version, metadata, ends = s3.get_object(Bucket=bucket, Key=f"{prefix}{planned}")["Body"].read().decode().split("\n")
    nothing = {topic: dict.fromkeys(partitions, 0) for topic, partitions in json.loads(ends).items()}
    body = "\n".join((version, metadata, json.dumps(nothing)))
    s3.put_object(Bucket=bucket, Key=f"{prefix}{planned + 1}", Body=body.encode())
    letters = drive.lake.total_records()["dead_letters"]
    send_again(stack, [], then=b"after the batch that cannot be")
    wait_for(lambda: drive.lake.total_records()["dead_letters"] > letters, 90, "the lake to go on")
    report = audit(drive.lake, Scope(folders=(drive.state,)), progress=print)
    assert report.settled, report.document()
    assert report.lake == drive.report.lake


def test_a_byte_of_a_frame_in_the_bucket_is_noticed(stack: Stack, drive: Drive) -> None:
    s3, bucket = s3_of(stack)
    boots = select_boots(find_logs([drive.state]))
    rows = drive.lake.rows("camera", boots).slice(0, 1).to_pylist()
    place = {"Bucket": bucket, "Key": rows[0]["snapshot"]}
    frame = s3.get_object(**place)["Body"].read()
    try:
        s3.put_object(**place, Body=frame[:-1] + bytes([frame[-1] ^ 1]))
        report = audit(drive.lake, Scope(folders=(drive.state,)), progress=print)
        assert report.altered == 1
        assert (report.lost, report.duplicated, report.unknown) == (0, 0, 0)
        assert report.examples["altered"][0]["id"] == rows[0]["id"]
        assert report.examples["altered"][0]["column"] == "frame in the bucket"
    finally:
        s3.put_object(**place, Body=frame)


def test_verify_without_logs_sees_no_gap(stack: Stack, drive: Drive) -> None:
    done = smartcity(stack, "verify", "--json", "--without-logs")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["missing"] == 0
    assert document["lake"] == drive.report.lake
    assert document["boots_without_status"] == 0


def test_doctor_finds_the_machine_in_order(stack: Stack, drive: Drive) -> None:
    done = smartcity(stack, "doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    json.loads(done.stdout)


def test_athena_and_redshift_answer_the_ten_questions_alike(stack: Stack, drive: Drive) -> None:
    """As the demo has it: maintenance builds the marts, the crawler finds them, and Redshift loads them."""
    hurry_marts(stack)
    with at_lake(stack):
        settings = from_environment()
        await_marts(stack, read_storage(settings.bucket), START.date(), print)
        fill_warehouse(settings, print)
        asked = ask_both(settings, START, print)
    done = smartcity(stack, "aws", "redshift", "query", "--json", LOADED)
    assert done.returncode == 0, done.stderr
    assert {row["mart"] for row in json.loads(done.stdout)["rows"]} == {mart.name for mart in MARTS}
    assert [one.name for one in asked] == list(QUESTIONS)
    assert [one.difference for one in asked if one.difference] == []
    # Half an hour may pass without an incident that anybody answers.
    assert {one.name for one in asked if not one.rows} <= {"incident_response", "active_incidents"}


def test_a_stack_that_was_stopped_comes_back_with_its_data(stack: Stack, drive: Drive) -> None:
    with at_lake(stack):
        loaded = open_warehouse(from_environment()).rows(LOADED)
    assert stack.down()
    assert stack.up(progress=print) is not None
    with at_lake(stack):
        assert open_warehouse(from_environment()).rows(LOADED) == loaded
    lake = Lake(LakeAccess.from_environment(stack.environment()))
    report = audit(lake, Scope(folders=(drive.state,)), wait_s=30, progress=print)
    assert report.settled, report.document()
    assert report.lake == drive.report.lake


def s3_of(stack: Stack) -> tuple[Any, str]:
    """A client of the stack's S3, and the lake's bucket."""
    environment = stack.environment()
    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    return client, environment["SMARTCITY_BUCKET"]


def generated(state: Path) -> int:
    """Readings in the devices' log."""
    return sum(sum(LogCounter(path).look()[0].values()) for path in find_logs([state]))


def records(stack: Stack) -> int:
    """Records in Kafka, dead letters included."""
    with KafkaCounter(stack.addresses().kafka) as counter:
        return sum(counter.look().values())


def publish(
    stack: Stack, topic: str, payload: bytes, folder: Path, version: str, *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """`mosquitto_pub`, as a person would."""
    path = folder / "payload"
    path.write_bytes(payload)
    host, port = stack.addresses().mqtt.split(":")
    command = ["mosquitto_pub", "-d", "-h", host, "-p", port, "-V", version, "-q", "1", "-t", topic, "-f", str(path)]
    return subprocess.run(command, check=check, timeout=30, capture_output=True, text=True)


def send_again(stack: Stack, readings: list[Logged], then: bytes | None = None) -> None:
    """Publishes logged readings once more under their ids, and then perhaps something that decodes as nothing."""
    host, port = stack.addresses().mqtt.split(":")
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.max_queued_messages_set(len(readings) + 1)
    client.connect(host, int(port))
    client.loop_start()
    sent = []
    for logged in readings:
        stream = STREAM_BY_NAME[logged.stream]
        envelope = envelope_of(logged, stream)
        properties = Properties(PacketTypes.PUBLISH)
        pairs = [*envelope.properties(), ("senttime", format_time(envelope.time))]
        if logged.metadata is not None:
            pairs.append((METADATA_PROPERTY, logged.metadata))
        properties.UserProperty = pairs
        topic = reading_topic(logged.device_id, stream)
        sent.append(client.publish(topic, logged.payload, qos=1, properties=properties))
    if then is not None:
        sent.append(client.publish(f"devices/{HAND}/obd", then, qos=1))
    for message in sent:
        message.wait_for_publish(30)
        assert message.is_published()
    client.disconnect()
    client.loop_stop()


def smartcity(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a person calls it."""
    command = [sys.executable, "-m", "smartcity.local.main", "--var", str(stack.layout.var), *arguments]
    environment: dict[str, Any] = {**os.environ}
    return subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment, check=False)
