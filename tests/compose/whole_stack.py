"""docker-compose.yml as it is, brought up, driven, broken and asked: `make compose-test`, wherever an engine answers.

What a test leaves running, the next one finds: the file is read from top to bottom, with Kafka's own coordination first
and ZooKeeper's at the end. SMARTCITY_COMPOSE_ROUNDS says how often everything is killed and paused (default 1).
"""

from __future__ import annotations

import json
import os
import random
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import yaml
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.publish import single

from smartcity.contracts.streams import STREAMS
from smartcity.local.errors import LocalError
from smartcity.local.verify.lake import Lake, LakeAccess

from ..conftest import BROKEN_NMEA, has_time, wait_for
from .project import ROOT, Project, project

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]

ROUNDS = int(os.environ.get("SMARTCITY_COMPOSE_ROUNDS", "1"))
SEED = int(os.environ.get("SMARTCITY_COMPOSE_SEED", "20261128"))
SPEED = "5"
ROWS_MIN = 300
PAUSE_S = 8.0
WAIT_S = 300.0
UP_WITHIN_S = 120.0
"""From nothing but images to everything healthy, on two cores that do nothing else."""
DRAIN = ("run", "--broker=mosquitto:1883", "--state=/state", "--until=never", "--vehicles=2", f"--speed={SPEED}")
"""The simulator as docker-compose.yml has it."""
ALWAYS = (
    "mosquitto", "kafka", "s3", "aws", "bridge", "spark-master", "spark-worker-1", "spark-worker-2", "lake",
    "maintenance", "dashboard",
)  # fmt: skip
"""The services that stay, without a profile."""
OPTIONAL = ("sim", "prometheus")
KILLED = ("bridge", "mosquitto", "kafka", "s3", "aws", "lake", "spark-worker-1", "spark-master")
PAUSED = ("bridge", "mosquitto", "kafka", "s3", "aws", "spark-worker-2")
FOUNDATION = ("mosquitto", "kafka", "s3", "spark-master")
"""Services on which others stand: stopped apart from them, so that each is seen to tell of itself."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Project]:
    """Nothing runs, and no container or volume of an earlier run is there."""
    made = project("smartcity-test", SMARTCITY_SPEED=SPEED)
    made.down(volumes=True)
    try:
        yield made
    finally:
        made.down(volumes=True)


def test_it_comes_up_well(stack: Project) -> None:
    idle = has_time()
    took = stack.up()
    print(f"docker compose up --wait: {took:.1f} s")
    assert took <= UP_WITHIN_S or not idle
    assert stack.health() == dict.fromkeys(ALWAYS, "healthy")
    for name in ("configure", "topics", "deploy"):
        assert stack.states()[name]["State"]["ExitCode"] == 0, name


def test_the_whole_way_as_natively(stack: Project) -> None:
    whole_way(stack)


def test_readings_reach_the_lake_through_kills_and_pauses(stack: Project) -> None:
    drive(stack)
    dice = random.Random(SEED)
    print(f"seed {SEED}")
    for _ in range(ROUNDS):
        for service in dice.sample(KILLED, len(KILLED)):
            before = rows(stack)
            stack.signal("KILL", service)
            until(lambda name=service: not running(stack, name), f"{service} to be gone")
            stack.compose("start", service)
            until(lambda at=before: rows(stack) > at, f"rows after the kill of {service}")
            print(f"{service} was killed: {rows(stack)} rows", flush=True)
        for service in dice.sample(PAUSED, len(PAUSED)):
            before = rows(stack)
            stack.compose("pause", service)
            time.sleep(PAUSE_S)  # Being away is what is tested.
            stack.compose("unpause", service)
            until(lambda at=before: rows(stack) > at, f"rows after the pause of {service}")
            print(f"{service} was paused: {rows(stack)} rows", flush=True)
    settled(stack)


def test_a_worker_killed_in_mid_batch_loses_and_doubles_nothing(stack: Project) -> None:
    drive(stack)
    until(lambda: any(one["completedTasks"] for one in executors(stack, "spark-worker-2")), "tasks on worker 2")
    before = rows(stack)
    until(lambda: any(one["activeTasks"] for one in executors(stack, "spark-worker-2")), "a task on worker 2", 0.02)
    stack.signal("KILL", "spark-worker-2")
    until(lambda: rows(stack) > before, "rows while worker 2 is dead")
    assert not running(stack, "spark-worker-2")
    stack.compose("start", "spark-worker-2")
    known = {one["id"] for one in executors(stack, "spark-worker-2")}
    until(
        lambda: any(one["completedTasks"] for one in executors(stack, "spark-worker-2") if one["id"] not in known),
        "tasks on another executor of worker 2",
    )
    settled(stack)


def test_down_and_up_again_lose_nothing(stack: Project) -> None:
    before = verify(stack)
    stack.down()
    assert stack.states() == {}
    stack.up()
    assert verify(stack)["lake"] == before["lake"]
    drive(stack)
    assert sum(settled(stack)["lake"].values()) > sum(before["lake"].values())


def test_prometheus_reads_every_process_that_counts(stack: Project) -> None:
    stack.up(*OPTIONAL, profiles=("sim", "observability"))
    address = f"http://127.0.0.1:{stack.settings['SMARTCITY_PROMETHEUS_PORT']}/api/v1/targets?state=active"

    def health() -> set[tuple[str, str]]:
        return {(each["labels"]["job"], each["health"]) for each in _ask(address)["data"]["activeTargets"]}

    configured = yaml.safe_load((ROOT / "compose" / "prometheus.yml").read_text())["scrape_configs"]
    until(lambda: health() == {(each["job_name"], "up") for each in configured}, "every job to be scraped")


@pytest.mark.parametrize("foundation", [True, False], ids=["foundation", "on-it"])
def test_a_service_that_hangs_is_unhealthy(stack: Project, foundation: bool) -> None:
    stack.up(*OPTIONAL, profiles=("sim", "observability"))
    stopped = [name for name in (*ALWAYS, *OPTIONAL) if (name in FOUNDATION) == foundation]
    stack.signal("STOP", *stopped)
    try:
        until(lambda: hang(stack, stopped), "all of them to be unhealthy")
        # Nothing of its own was stopped, and its check asks nobody else.
        assert not foundation or stack.health()["dashboard"] == "healthy"
    finally:
        stack.signal("CONT", *stopped)
    until(lambda: set(stack.health().values()) == {"healthy"}, "all of them to be well again")
    settled(stack)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMARTCITY_VEHICLES", "two"),
        ("SMARTCITY_SPEED", "0"),
        ("SMARTCITY_KRAFT_BROKERS", "2"),
        ("SMARTCITY_MQTT_PORT", "abc"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    wrong = project("smartcity-wrong", **{name: value})
    try:
        done = wrong.compose("up", "--wait", "--no-build", check=False)
        assert done.returncode != 0
        said = done.stderr + wrong.compose("logs", "configure", check=False).stdout
        assert name in said, said
    finally:
        project("smartcity-wrong").down(volumes=True)


def test_zookeeper_coordinates_the_broker_instead(stack: Project) -> None:
    stack.down(volumes=True)
    other = Project(
        name=stack.name, settings={**stack.settings, "SMARTCITY_KRAFT_BROKERS": "0"}, profiles=("zookeeper",)
    )
    print(f"docker compose --profile zookeeper up --wait: {other.up():.1f} s")
    named = {"kafka-zookeeper" if name == "kafka" else name for name in ALWAYS} | {"zookeeper"}
    assert other.health() == dict.fromkeys(named, "healthy")
    whole_way(other)
    drive(other)
    for service in ("kafka-zookeeper", "zookeeper"):
        before = rows(other)
        other.signal("KILL", service)
        other.compose("start", service)
        until(lambda at=before: rows(other) > at, f"rows after the kill of {service}")
    settled(other)
    stopped = ("kafka-zookeeper", "zookeeper")
    other.signal("STOP", *stopped)
    try:
        until(lambda: hang(other, stopped), "both to be unhealthy")
    finally:
        other.signal("CONT", *stopped)


def drive(stack: Project) -> None:
    """Devices, until some of what they make is in the lake."""
    before = rows(stack)
    stack.up("sim", profiles=("sim",))
    until(lambda: rows(stack) > before + ROWS_MIN, f"{ROWS_MIN} rows more")


def whole_way(stack: Project) -> None:
    """As tests/test_end_to_end.py: what is broken is kept with its reason, and Athena counts what verify counts."""
    drive(stack)
    noise = random.Random(SEED).randbytes(64)
    broken = {("by-hand", "gps"): BROKEN_NMEA, ("x", "obd"): noise}
    for (device, kind), payload in broken.items():
        publish(stack, f"devices/{device}/{kind}", payload)
    report = settled(stack)
    lake = Lake(LakeAccess.from_environment(stack.endpoints()))
    columns = ("device_id", "reason", "payload")
    until(lambda: lake.total_records()["dead_letters"] >= len(broken), "the broken messages in the lake")
    letters = [row for batch in lake.batches("dead_letters", columns, None) for row in batch.to_pylist()]
    found = sorted(tuple(row[name] for name in columns) for row in letters)
    assert found == [("by-hand", "checksum_invalid", BROKEN_NMEA), ("x", "payload_undecodable", noise)]
    union = " UNION ALL ".join(f"SELECT '{each.name}' AS stream FROM {each.table}" for each in STREAMS)
    asked = f"SELECT stream, count(*) AS n FROM ({union}) t GROUP BY stream"
    done = stack.compose(
        "run", "--rm", "--no-deps", "tools", "smartcity", "query", "--json", asked, profiles=("tools",)
    )
    counted = {row["stream"]: row["n"] for row in json.loads(done.stdout)["rows"]}
    assert counted == {name: rows for name, rows in report["lake"].items() if rows}


def publish(stack: Project, topic: str, payload: bytes) -> None:
    """As a device would that waits for the gateway alone."""
    port = int(stack.settings["SMARTCITY_MQTT_PORT"])
    single(topic, payload, qos=1, hostname="127.0.0.1", port=port, protocol=MQTTProtocolVersion.MQTTv5)


def settled(stack: Project) -> dict[str, Any]:
    """Stop the devices, let them deliver what they hold, and have `smartcity verify` prove that nothing is amiss."""
    stack.compose("stop", "sim", profiles=("sim",))
    stack.compose("run", "--rm", "--no-deps", "sim", *DRAIN, "--duration=1", "--drain-timeout-s=180", "--quiet")
    return verify(stack)


def verify(stack: Project) -> dict[str, Any]:
    """The report; of everything that the devices ever made, all of it in the lake or refused by name."""
    asked = ("smartcity", "verify", "--strict", "--json", "--state=/state", "--wait-s=180")
    done = stack.compose("run", "--rm", "--no-deps", "tools", *asked, check=False, profiles=("tools",))
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["lake"] == report["generated"]
    assert all(report["lake"][stream.name] for stream in STREAMS if stream.name != "emergency"), report["lake"]
    assert report["unproven"] == report["dropped"] == report["refused"] == 0
    return report


def rows(stack: Project) -> int:
    """Rows in the lake; 0 while nobody answers."""
    try:
        return sum(Lake(LakeAccess.from_environment(stack.endpoints())).total_records().values())
    except (LocalError, OSError):
        return 0


def hang(stack: Project, services: Sequence[str]) -> bool:
    """Whether each is unhealthy."""
    health = stack.health()
    return {health[name] for name in services} == {"unhealthy"}


def running(stack: Project, service: str) -> bool:
    return bool(stack.states()[service]["State"]["Running"])


def executors(stack: Project, worker: str) -> list[dict[str, Any]]:
    """Those that a worker has for the driver now or had before, by Spark's REST API."""
    address = f"http://127.0.0.1:{stack.settings['SMARTCITY_SPARK_JOBS_PORT']}/api/v1/applications"
    application = _ask(address)[0]["id"]
    return [one for one in _ask(f"{address}/{application}/allexecutors") if one["hostPort"].startswith(f"{worker}:")]


def _ask(address: str) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=30) as answer:
        return json.load(answer)


def until(condition: Callable[[], bool], what: str, poll_s: float = 2.0) -> None:
    wait_for(condition, WAIT_S, what, poll_s)
