"""The pipeline's page in a real browser: real Mosquitto, Kafka, bridge, S3, local AWS, simulated devices and dashboard.

In place of Spark, which would take a minute and a gigabyte, stands its driver's own exporter
(`smartcity.lake.progress`), fed with made-up batches. With SMARTCITY_PICTURES=docs/images the pages are kept there as
pictures.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from bridge.tests.conftest import BridgeProcess, Kafka, Mosquitto, free_port, wait_for
from confluent_kafka.admin import AdminClient
from local.tests.conftest import CREDENTIALS, Endpoints
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import DEAD_LETTERS_TABLE
from smartcity.contracts.topics import DEAD_LETTERS_TOPIC
from smartcity.dashboard.flow_probes import KafkaProbe
from smartcity.lake.batch import Outcome
from smartcity.lake.delays import delays_of
from smartcity.lake.listener import Report
from smartcity.lake.pages import serve
from smartcity.lake.progress import Progress

from .browser import CHROMIUM, RED_WITHIN_S, FlowSeen, chromium
from .browser import seen as open_seen

pytest.importorskip("playwright.sync_api", reason="no Playwright: make setup-tests installs it")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: make setup-tests installs it"),
    pytest.mark.broker,
    pytest.mark.timeout(900),
]

ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 240.0
BATCH_S = 5.0
TABLES = {stream.kafka_topic: stream.table for stream in STREAMS} | {DEAD_LETTERS_TOPIC: DEAD_LETTERS_TABLE}
WATCHED = ("devices", "mosquitto", "bridge", "kafka", "lake", "s3", "aws")
HOSTILE = b"<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\x00\xff\x1b[31m"


class Lake:
    """The driver's exporter, and batches that would have read all that Kafka has."""

    def __init__(self, kafka: str) -> None:
        self.port = free_port()
        self._kafka, self._server = kafka, None
        self._progress = Progress()
        self._progress.running = True
        self._ends: dict[str, dict[int, int]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._batches, daemon=True)
        self._thread.start()

    def start(self) -> None:
        self._server = serve(self._progress.pages(), ("127.0.0.1", self.port))

    def stop(self, number: int = 0) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self.stop()

    def _batches(self) -> None:
        probe = KafkaProbe(self._kafka)
        rng = np.random.default_rng(7)
        number = 0
        while not self._stopping.wait(BATCH_S):
            rows: dict[str, int] = {}
            # Kafka is away at times: part of the tests.
            for topic, partitions in probe.ask().ends.items():
                known = self._ends.setdefault(topic, {})
                new = sum(max(0, end - known.get(partition, 0)) for partition, end in partitions.items())
                known |= partitions
                rows[TABLES[topic]] = new
            now, number = time.time(), number + 1
            waited = {table: now - rng.uniform(1.0, 1.0 + BATCH_S, many) for table, many in rows.items() if many}
            delays = {table: delays_of((at * 1e6).astype(np.int64), now) for table, at in waited.items()}
            rows = {table: many for table, many in rows.items() if many}
            self._progress.completed(
                Outcome(batch_id=number, records=sum(rows.values()), seconds=1.1, rows=rows, delays=delays)
            )
            ends = {topic: dict(found) for topic, found in self._ends.items()}
            self._progress.reported(
                Report(
                    batch_id=number, rows=sum(rows.values()), input_rows_per_s=0, processed_rows_per_s=0, parts_s={},
                    ends=ends, latest=ends,
                )
            )  # fmt: skip


@dataclass(kw_only=True)
class Dashboard:
    url: str
    process: subprocess.Popen[bytes]
    log: Path


def start_dashboard(folder: Path, addresses: dict[str, str], environment: dict[str, str]) -> Dashboard:
    port = free_port()
    command = [sys.executable, "-m", "smartcity.dashboard.main", "run", "--listen", f"127.0.0.1:{port}"]
    for flag, address in addresses.items():
        command += [f"--{flag}", address]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "SMARTCITY_"))}
    log = folder / "dashboard.log"
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=kept | environment, stdout=out, stderr=out)
    url = f"http://localhost:{port}"

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return bool(urllib.request.urlopen(f"{url}/healthz", timeout=5).status == 200)
        except OSError:
            return False

    wait_for("the dashboard", answers, START_TIMEOUT_S)
    return Dashboard(url=url, process=process, log=log)


@dataclass(kw_only=True)
class City:
    mosquitto: Mosquitto
    kafka: Kafka
    bridge: BridgeProcess
    lake: Lake
    dashboard: Dashboard

    def publish(self, topic: str, payload: bytes, pairs: list[tuple[str, str]] | None = None) -> None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.connect("127.0.0.1", self.mosquitto.port)
        client.loop_start()
        properties = Properties(PacketTypes.PUBLISH)
        if pairs:
            properties.UserProperty = pairs
        client.publish(topic, payload, qos=1, properties=properties).wait_for_publish(30)
        client.disconnect()
        client.loop_stop()

    def get(self, path: str) -> tuple[int, Any, bytes]:
        try:
            with urllib.request.urlopen(f"{self.dashboard.url}{path}", timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("flow")
    jars = Path(os.environ.get("SMARTCITY_KAFKA_JARS") or ROOT / "var/jars/kafka")
    mosquitto, kafka, aws = Mosquitto(folder), Kafka(jars, folder), Endpoints(folder=folder)
    bridge = BridgeProcess(mosquitto.port, kafka.bootstrap, folder)
    lake = Lake(kafka.bootstrap)
    started: list[subprocess.Popen[bytes]] = []
    try:
        aws.start_s3()
        aws.start_aws()
        mosquitto.start()
        kafka.start(START_TIMEOUT_S)
        kafka.create_topics()
        bridge.start()
        lake.start()
        command = [sys.executable, "-m", "smartcity.sim.main", "run", "--broker", f"127.0.0.1:{mosquitto.port}"]
        command += ["--vehicles", "6", "--until", "never", "--state", str(folder / "sim"), "--quiet"]
        with (folder / "sim.log").open("ab") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        addresses = {"mqtt": f"127.0.0.1:{mosquitto.port}", "bridge": f"http://127.0.0.1:{bridge.http}"}
        addresses |= {"kafka": kafka.bootstrap, "lake": f"http://127.0.0.1:{lake.port}"}
        environment = {
            "AWS_ENDPOINT_URL": aws.aws_url, "AWS_ENDPOINT_URL_S3": aws.s3_url,
            "SMARTCITY_VAR": "var",
            "AWS_ACCESS_KEY_ID": CREDENTIALS["aws_access_key_id"], "AWS_REGION": CREDENTIALS["region_name"],
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
        }  # fmt: skip
        dashboard = start_dashboard(folder, addresses, environment)
        started.append(dashboard.process)
        yield City(mosquitto=mosquitto, kafka=kafka, bridge=bridge, lake=lake, dashboard=dashboard)
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)
        lake.close()
        bridge.stop(signal.SIGKILL)
        kafka.stop()
        mosquitto.stop()
        aws.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., FlowSeen]]:
    with contextlib.ExitStack() as opened:

        def open_page(url: str, **how: Any) -> FlowSeen:
            found = opened.enter_context(open_seen(browser, url, "/flow", FlowSeen, **how))
            found.page.wait_for_selector("[data-part]", state="attached")
            return found

        yield open_page


@pytest.fixture
def seen(city: City, look: Callable[..., FlowSeen]) -> FlowSeen:
    page = look(city.dashboard.url)
    for part in WATCHED:
        page.wait_state(part, "up")
    return page


def test_every_part_is_up_and_readings_flow_with_their_latencies(seen: FlowSeen) -> None:
    flowing = "() => document.querySelectorAll('.arrow.flowing').length"
    # Five hops and the receipts; nobody asks Athena.
    seen.page.wait_for_function(f"() => ({flowing})() === 6")
    for hop in ("device_to_bridge", "bridge_to_kafka", "kafka_to_lake"):
        card = seen.page.locator(f'[data-hop="{hop}"]')
        card.locator(".quantiles").wait_for()
        p50, p99 = (milliseconds(text) for text in card.locator(".quantiles b").all_inner_texts())
        assert 0 < p50 <= p99 < 60_000
        assert card.locator(".bars rect").count() >= 3
    row = seen.page.locator("#streams tbody tr", has_text="gps").locator("td")

    def even() -> bool:
        """Every rate is above 0, and nothing else reaches Kafka than what the gateway passes on."""
        made, gateway, kafka, lake = map(float, row.all_inner_texts()[:4])
        return all((made, gateway, kafka, lake)) and gateway == pytest.approx(kafka, rel=0.3)

    # Where one of them had to wait for the machine, what went in came out later.
    wait_for("gps comes out as it goes in", even)
    seen.page.wait_for_function("() => document.getElementById('troubles').childElementCount === 0")
    assert seen.complaints == []


def milliseconds(text: str) -> float:
    value, unit = text.split()
    return float(value) * {"ms": 1, "s": 1000}[unit]


@pytest.mark.parametrize("part", ["bridge", "mosquitto", "kafka", "lake"])
def test_a_part_that_dies_is_red_within_seconds_and_green_when_it_is_back(
    city: City, seen: FlowSeen, part: str
) -> None:
    victim = getattr(city, part)
    victim.stop(signal.SIGKILL) if part != "kafka" else victim.stop()
    took_s = seen.wait_state(part, "down", RED_WITHIN_S)
    print(f"{part}: red after {took_s:.1f} s")
    said = seen.page.locator(f'[data-trouble="{part}"]').inner_text()
    assert f"var/log/{part}.log" in said
    assert "smartcity up" in said
    if part == "bridge":
        seen.picture("flow-bridge-down")
    victim.start(START_TIMEOUT_S) if part == "kafka" else victim.start()
    print(f"{part}: green after {seen.wait_state(part, 'up'):.1f} s")
    for each in WATCHED:
        seen.wait_state(each, "up")
    assert all("503" in each for each in seen.complaints), seen.complaints


def test_a_bridge_that_hangs_is_red_too(city: City, seen: FlowSeen) -> None:
    assert city.bridge.process is not None
    city.bridge.process.send_signal(signal.SIGSTOP)
    try:
        print(f"red after {seen.wait_state('bridge', 'down', RED_WITHIN_S):.1f} s")
        assert "no answer" in seen.page.locator('[data-trouble="bridge"]').inner_text()
    finally:
        city.bridge.process.send_signal(signal.SIGCONT)
    seen.wait_state("bridge", "up")
    assert seen.complaints == []


def test_a_dead_letter_is_opened_by_keyboard_and_its_bytes_are_right(city: City, seen: FlowSeen) -> None:
    payload = HOSTILE + bytes(range(256))
    properties = [("colour", "<b>blue</b>"), ("specversion", "1.0")]
    city.publish("devices/station-x/weather", payload, properties)
    letter = seen.page.locator("button.letter", has_text="devices/station-x/weather").first
    letter.wait_for()
    letter.focus()
    seen.page.keyboard.press("Enter")
    dialog = seen.page.locator("#letter")
    dialog.locator(".dump").wait_for()
    assert bytes.fromhex("".join(dialog.locator(".hex").all_inner_texts()).replace("\n", "")) == payload
    text = "".join(dialog.locator(".dump .text").all_inner_texts())
    assert text == "".join(chr(code) if 0x20 <= code < 0x7F else "·" for code in payload)
    facts = dialog.inner_text()
    assert "envelope invalid" in facts.lower()
    assert "devices/station-x/weather" in facts
    assert "station-x" in facts
    assert "<b>blue</b>" in facts
    # What a device sent stays text.
    assert seen.page.locator("#letter-body img, #letter-body script, #letter-body b").count() == 0
    assert seen.page.title() == "Smart city, the flow"
    with seen.page.expect_download() as download:
        dialog.get_by_role("link", name="Download the bytes").click()
    assert Path(download.value.path()).read_bytes() == payload
    seen.page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert seen.page.evaluate("document.activeElement.dataset.place") == letter.get_attribute("data-place")
    assert seen.complaints == []


def test_letters_are_counted_by_reason_and_a_reason_shows_its_own_alone(city: City, seen: FlowSeen) -> None:
    city.publish("devices/car-9/gps", b"$GPRMC,081836,A,3751.65,S,14507.36,E,010.0,360.0,130998,011.3,E*00\r\n")
    city.publish("devices/station-9/weather", b"it rains")
    seen.page.locator("button.letter", has_text="devices/car-9/gps").first.wait_for()
    chip = seen.page.locator("[data-reason=checksum_invalid]")
    seen.page.wait_for_function(
        "() => Number(document.querySelector('[data-reason=checksum_invalid] b').textContent) >= 1"
    )
    chip.click()
    reasons = set(seen.page.locator("button.letter .reason").all_inner_texts())
    assert reasons == {"checksum invalid"}
    assert chip.get_attribute("aria-pressed") == "true"
    chip.click()
    assert len(set(seen.page.locator("button.letter .reason").all_inner_texts())) > 1
    assert seen.complaints == []


def test_the_payload_of_a_letter_is_a_file_and_what_is_not_there_is_said(city: City, seen: FlowSeen) -> None:
    city.publish("devices/station-y/weather", HOSTILE)
    found = wait_for("the letter", lambda: place_of(city, "devices/station-y/weather"), 60)
    status, headers, body = city.get(f"/api/flow/dead-letters/{found}/payload")
    assert (status, body) == (200, HOSTILE)
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment;")
    assert headers["X-Content-Type-Options"] == "nosniff"
    for place in ("0/99999999", "7/0", f"{2**31}/0", f"0/{2**63}"):
        status, _, body = city.get(f"/api/flow/dead-letters/{place}")
        assert status == 404, place
        assert "Kafka" in json.loads(body)["trouble"]


def place_of(city: City, topic: str) -> str | None:
    shelf = json.loads(city.get("/api/flow/dead-letters")[2])["reasons"]
    every = [letter for reason in shelf for letter in reason["letters"] if letter["topic"] == topic]
    return f"{every[0]['partition']}/{every[0]['offset']}" if every else None


def test_looking_leaves_no_group_in_kafka(city: City, seen: FlowSeen) -> None:
    assert place_of(city, "none") is None
    groups = AdminClient({"bootstrap.servers": city.kafka.bootstrap}).list_consumer_groups().result(30)
    assert [group.group_id for group in groups.valid if "dashboard" in group.group_id] == []


LOOKS = {
    "flow": ((1280, 720), "light"),
    "flow-dark": ((1280, 720), "dark"),
    "flow-phone": ((390, 844), "light"),
}


@pytest.mark.parametrize("name", LOOKS)
def test_nothing_sticks_out(city: City, look: Callable[..., FlowSeen], name: str) -> None:
    (width, height), scheme = LOOKS[name]
    seen = look(city.dashboard.url, viewport={"width": width, "height": height}, color_scheme=scheme)
    for part in WATCHED:
        seen.wait_state(part, "up")
    seen.page.locator("#latency .quantiles").nth(2).wait_for()
    seen.page.locator("button.letter").first.wait_for()
    seen.assert_within()
    # No text of a box leaves it.
    out = seen.page.evaluate(
        """() => [...document.querySelectorAll('.part')].flatMap(part => {
          const box = part.querySelector('.part-box').getBoundingClientRect();
          return [...part.querySelectorAll('text')].filter(text => {
            const at = text.getBoundingClientRect();
            return at.width > 0 && (at.left < box.left || at.right > box.right || at.bottom > box.bottom);
          }).map(text => text.textContent);
        })"""
    )
    assert out == []
    seen.picture(name, full_page=True)
    if name != "flow-dark":
        seen.page.locator("button.letter").first.click()
        seen.page.locator("#letter .dump").wait_for()
        assert seen.page.evaluate("document.getElementById('letter').getBoundingClientRect().right") <= width
        seen.picture(f"{name}-letter")
    assert seen.complaints == []


def test_where_nothing_runs_each_part_says_why_and_what_to_do(look: Callable[..., FlowSeen], tmp_path: Path) -> None:
    nowhere = {flag: f"127.0.0.1:{free_port()}" for flag in ("mqtt", "kafka")}
    nowhere |= {flag: f"http://127.0.0.1:{free_port()}" for flag in ("bridge", "lake")}
    dashboard = start_dashboard(tmp_path, nowhere, {"AWS_ENDPOINT_URL": "https://glue.us-east-1.amazonaws.com"})
    try:
        seen = look(dashboard.url)
        for part in ("mosquitto", "bridge", "kafka", "lake"):
            seen.wait_state(part, "down")
            assert "start it again" in seen.page.locator(f'[data-trouble="{part}"]').inner_text()
        assert {seen.state("s3"), seen.state("aws")} == {"unwatched"}
        assert seen.state("devices") == "unknown"
        seen.page.wait_for_function(
            "() => document.getElementById('no-letters').textContent.includes('cannot be read')"
        )
        # The browser itself reports an answer of 503.
        assert all("503" in each for each in seen.complaints)
        dashboard.process.terminate()
        assert dashboard.process.wait(20) == 0, dashboard.log.read_text()
        seen.page.wait_for_function("() => !document.getElementById('banner').hidden")
        assert "does not answer" in seen.page.locator("#banner").inner_text()
    finally:
        dashboard.process.kill()
        dashboard.process.wait(10)
