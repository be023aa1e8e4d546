"""The pages of the dashboard over the whole real stack, Spark and the local AWS included, in headless Chromium.

What each page does by itself is tested beside smaller stacks (`test_live_page.py`, `test_dashboard_flow.py`,
`local/tests/test_dashboard_lake_page.py`); here it is one city, seen on all of them.
"""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from smartcity.aws.dashboard.ask import Choices, visual_query
from smartcity.aws.dashboard.city import DASHBOARD
from smartcity.aws.query import run_query
from smartcity.aws.settings import from_environment
from smartcity.contracts.envelope import format_time
from smartcity.dashboard.lake_definition import with_clicks
from smartcity.lake.settings import read_storage
from smartcity.local.demo_drive import SIMULATOR
from smartcity.local.marts import await_marts, hurry_marts
from smartcity.local.reach import at_lake
from smartcity.local.stack import SUPERVISOR, Stack
from smartcity.local.verify.audit import Scope, audit
from smartcity.local.verify.lake import Lake, LakeAccess

from .browser import CHROMIUM, RED_WITHIN_S, FlowSeen, LakeSeen, chromium, seen
from .conftest import BROKEN_NMEA, kill

pytest.importorskip("playwright.sync_api", reason="no Playwright: make setup-tests installs it")
pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.broker,
    pytest.mark.spark,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: make setup-tests installs it"),
    pytest.mark.timeout(900),
]

SPEED = 30
SEED = 11
FRAME = """src => {
  const frame = document.getElementById('frame');
  return frame.complete && frame.naturalWidth > 0 && frame.getAttribute('src') !== src && frame.getAttribute('src');
}"""
PIXELS = """() => {
  const frame = document.getElementById('frame');
  const canvas = new OffscreenCanvas(frame.naturalWidth, frame.naturalHeight);
  const pen = canvas.getContext('2d');
  pen.drawImage(frame, 0, 0);
  return [...pen.getImageData(0, 0, canvas.width, canvas.height).data].join();
}"""
"""What the camera's picture shows."""
PLACES = """() => import('/static/live/main.js').then(({ page }) =>
  [...page.city.vehicles.values()].map(vehicle => [vehicle.paintedX, vehicle.paintedY]))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def url(stack: Stack) -> str:
    addresses = stack.addresses()
    assert addresses is not None
    return addresses.dashboard_url.replace("127.0.0.1", "localhost").rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """Two vehicles on each route, with all that watches them."""

    running: subprocess.Popen[bytes]
    start: dt.datetime
    state: Path

    def stop(self) -> None:
        self.running.terminate()
        self.running.wait(60)


@pytest.fixture(scope="module")
def devices(stack: Stack) -> Iterator[Devices]:
    start, state = dt.datetime.now(dt.UTC) - dt.timedelta(days=2), stack.layout.var / "sim" / "browser"
    addresses = stack.addresses()
    assert addresses is not None
    command = [str(SIMULATOR), "run", "--broker", addresses.mqtt, "--vehicles", "2", "--until", "never", "--quiet"]
    command += ["--speed", str(SPEED), "--seed", str(SEED), "--start", format_time(start), "--state", str(state)]
    started = Devices(running=subprocess.Popen(command), start=start, state=state)
    try:
        yield started
    finally:
        started.stop()


def test_vehicles_move_frames_change_and_incidents_appear(browser: Any, url: str, devices: Devices) -> None:
    with seen(browser, url) as page:
        page.until("document.querySelectorAll('#vehicles a').length >= 4")
        page.page.wait_for_timeout(1000)
        before = page.page.evaluate(PLACES)
        page.page.locator("#camera").select_option(index=1)
        frame = page.until(FRAME, "")
        first = page.page.evaluate(PIXELS)
        page.until(FRAME, frame)
        assert page.page.evaluate(PIXELS) != first
        page.until("document.querySelector('#incidents li') !== null")
        after = page.page.evaluate(PLACES)
        assert sum(one != two for one, two in zip(before, after, strict=False)) >= 4
        page.picture("whole-live")
        assert page.complaints == []


def test_every_part_is_green_and_latencies_reach_the_lake(browser: Any, url: str, devices: Devices) -> None:
    with seen(browser, url, "/flow", FlowSeen) as page:
        for part in ("devices", "mosquitto", "bridge", "kafka", "lake", "s3", "aws"):
            page.wait_state(part, "up")
        for hop in ("device_to_bridge", "bridge_to_kafka", "kafka_to_lake"):
            page.page.locator(f'[data-hop="{hop}"] .quantiles').wait_for()
        page.picture("whole-flow", full_page=True)
        assert page.complaints == []


def test_a_broken_reading_is_opened_as_a_dead_letter(browser: Any, url: str, stack: Stack) -> None:
    addresses = stack.addresses()
    assert addresses is not None
    _, _, port = addresses.mqtt.rpartition(":")
    subprocess.run(
        ["mosquitto_pub", "-V", "mqttv5", "-h", "127.0.0.1", "-p", port, "-q", "1", "-t", "devices/seen/gps", "-s"],
        input=BROKEN_NMEA, check=True, timeout=60,
    )  # fmt: skip
    with seen(browser, url, "/flow", FlowSeen) as page:
        letter = page.page.locator("button.letter", has_text="devices/seen/gps").first
        letter.focus()
        page.page.keyboard.press("Enter")
        dialog = page.page.locator("#letter")
        dialog.locator(".dump").wait_for()
        found = bytes.fromhex("".join(dialog.locator(".hex").all_inner_texts()).replace("\n", ""))
        assert found == BROKEN_NMEA
        assert "checksum invalid" in dialog.inner_text().lower()
        assert page.complaints == []


def test_a_killed_bridge_is_red_and_green_again(browser: Any, url: str, stack: Stack, devices: Devices) -> None:
    """Without the supervisor, which would have started it again before a person can look."""
    with seen(browser, url, "/flow", FlowSeen) as page:
        page.wait_state("bridge", "up")
        kill(stack, SUPERVISOR)
        kill(stack, "bridge")
        print(f"red after {page.wait_state('bridge', 'down', RED_WITHIN_S):.1f} s")
        assert "smartcity up" in page.page.locator('[data-trouble="bridge"]').inner_text()
        stack.up(progress=print)
        page.wait_state("bridge", "up")
        assert all("503" in each for each in page.complaints), page.complaints


def test_a_filter_changes_the_lakes_charts_to_what_athena_answers(
    browser: Any, url: str, stack: Stack, devices: Devices
) -> None:
    """When the devices have stopped, everything is in the lake, and its marts are built: then nothing changes any more
    between the page's question and ours."""
    devices.stop()
    report = audit(
        Lake(LakeAccess.from_environment(stack.environment())), Scope(folders=(devices.state,)), wait_s=120,
        progress=print,
    )  # fmt: skip
    assert report.settled, report.document()
    sheet = next(one for one in DASHBOARD.sheets if one.id == "city")
    visual = next(one for one in sheet.visuals if one.id == "speed-by-time")
    with at_lake(stack), seen(browser, url, f"/lake#sheet={sheet.id}", LakeSeen) as page:
        settings = from_environment()
        hurry_marts(stack)
        await_marts(stack, read_storage(settings.bucket), devices.start.date(), print)
        page.page.reload()
        page.settle(sheet)
        both = page.table(visual.id)
        page.page.locator("#filter-route summary").click()
        page.page.get_by_role("checkbox", name="london-birmingham").check()
        page.settle(sheet)
        shown = page.table(visual.id)
        midnight = dt.datetime.combine(dt.datetime.now(dt.UTC).date(), dt.time(), dt.UTC)
        since, until = midnight - dt.timedelta(days=7), midnight + dt.timedelta(days=1)
        choices = Choices(values={"route": ("london-birmingham",)}, since=since, until=until)
        days = {"first_day": since.date().isoformat(), "last_day": until.date().isoformat()}
        sql = visual_query(with_clicks(DASHBOARD), visual, choices, days)
        answered = list(run_query(sql, settings).rows)
        page.picture("whole-lake", full_page=True)
        assert page.complaints == []
    assert 0 < len(shown) < len(both)
    assert [row[:2] for row in shown] == [[row[0].strftime("%Y-%m-%d %H:%M"), row[1]] for row in answered]
    assert [float(row[2]) for row in shown] == pytest.approx([row[2] for row in answered], abs=0.51)
