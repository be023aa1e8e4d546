"""The lake's page in a real browser: the real dashboard process, the local Athena over a small lake, headless Chromium.

With SMARTCITY_PICTURES=docs/images the pages are kept there as pictures.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.browser import CHROMIUM, LakeSeen, chromium
from tests.browser import seen as open_seen

from smartcity.aws.dashboard.ask import Choices, visual_query
from smartcity.aws.dashboard.city import DASHBOARD
from smartcity.aws.dashboard.definition import Sheet
from smartcity.aws.query import run_query
from smartcity.aws.settings import Settings
from smartcity.dashboard.lake_definition import with_clicks

from . import likely_lake
from .conftest import CREDENTIALS, Endpoints, free_port

pytest.importorskip("playwright.sync_api", reason="no Playwright: make setup-tests installs it")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: make setup-tests installs it"),
    pytest.mark.timeout(900),
]

DEADLINE_MS = 120_000
SETTINGS = Settings(bucket="seen", database="seen", workgroup="seen", region="us-east-1", query_timeout_s=60)
CLICKABLE = with_clicks(DASHBOARD)
SHEETS = {sheet.id: sheet for sheet in DASHBOARD.sheets}
VISUALS = {visual.id: visual for _, visual in DASHBOARD.placed()}
DAY = dt.timedelta(days=1)

WATER = """() => {
  const canvas = document.querySelector('#maps canvas');
  if (!canvas?.width) return false;
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const water = getComputedStyle(document.documentElement).getPropertyValue('--water').trim();
  const [r, g, b] = [1, 3, 5].map(at => parseInt(water.slice(at, at + 2), 16));
  let found = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    if (pixels[at] === r && pixels[at + 1] === g && pixels[at + 2] === b) found += 1;
  }
  const share = found / (pixels.length / 4);
  return 0.05 < share && share < 0.6;
}"""
"""Whether Lake Ontario fills a part of the first map, and not all of it."""


def keep(seen: LakeSeen, name: str) -> None:
    """The page as a picture, without the pointer's and the focus's traces."""
    seen.page.mouse.move(0, 0)
    seen.page.evaluate("document.activeElement.blur()")
    seen.picture(f"lake-{name}", full_page=True)


@pytest.fixture(scope="module")
def athena(aws_endpoints: Endpoints) -> Any:
    likely_lake.fill(SETTINGS, aws_endpoints, dt.datetime.now(dt.UTC))
    aws_endpoints.client("glue").create_database(DatabaseInput={"Name": "nothing"})
    return aws_endpoints.client("athena")


def _dashboard(aws_url: str, s3_url: str, folder: Path, database: str) -> Iterator[str]:
    port = free_port()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    environment = kept | {
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ENDPOINT_URL_S3": s3_url,
        "AWS_ACCESS_KEY_ID": CREDENTIALS["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
        "AWS_REGION": "us-east-1",
        "SMARTCITY_BUCKET": SETTINGS.bucket,
        "SMARTCITY_DATABASE": database,
        "SMARTCITY_WORKGROUP": SETTINGS.workgroup,
    }
    command = [sys.executable, "-m", "smartcity.dashboard.main", "run", "--listen", f"127.0.0.1:{port}"]
    command += ["--mqtt", f"127.0.0.1:{free_port()}", "--bridge", f"http://127.0.0.1:{free_port()}"]
    url = f"http://localhost:{port}"
    with (folder / "dashboard.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + DEADLINE_MS / 1000
        while True:
            try:
                urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "dashboard.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        assert process.wait(20) == 0


@pytest.fixture(scope="module")
def dashboard(athena: Any, aws_endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("dashboard")
    yield from _dashboard(aws_endpoints.aws_url, aws_endpoints.s3_url, folder, SETTINGS.database)


@pytest.fixture(scope="module")
def empty_dashboard(athena: Any, aws_endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("empty")
    yield from _dashboard(aws_endpoints.aws_url, aws_endpoints.s3_url, folder, "nothing")


@pytest.fixture(scope="module")
def lost_dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """It asks where nobody answers."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    yield from _dashboard(nowhere, nowhere, tmp_path_factory.mktemp("lost"), SETTINGS.database)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def seen(browser: Any, dashboard: str) -> Iterator[LakeSeen]:
    with open_seen(browser, dashboard, None, LakeSeen) as page:
        yield page


def _answer(athena: Any, visual: str, values: dict[str, tuple[str, ...]]) -> list[tuple[Any, ...]]:
    """What Athena answers to a visual under the page's first range of time: seven days, up to the end of today."""
    midnight = dt.datetime.combine(dt.datetime.now(dt.UTC).date(), dt.time(), dt.UTC)
    since, until = midnight - 7 * DAY, midnight + DAY
    days = {"first_day": since.date().isoformat(), "last_day": until.date().isoformat()}
    sql = visual_query(CLICKABLE, VISUALS[visual], Choices(values=values, since=since, until=until), days)
    return list(run_query(sql, SETTINGS, athena=athena).rows)


def _assert_shows(shown: list[list[str]], answered: list[tuple[Any, ...]]) -> None:
    """Every cell is the answer's value, as far as it is rounded."""
    assert len(shown) == len(answered)
    for cells, row in zip(shown, answered, strict=True):
        for cell, value in zip(cells, row, strict=True):
            if isinstance(value, float | int):
                near = 0.5 if abs(value) >= 100 else 0.05 if abs(value) >= 10 else 0.005
                assert float(cell.replace(",", "")) == pytest.approx(value, abs=near * 1.01)
            elif isinstance(value, dt.datetime):
                assert value.strftime("%Y-%m-%d %H:%M").startswith(cell)
                assert len(cell) >= 10
            elif value is None:
                assert cell == "–"
            else:
                assert cell in (value, "open the frame")


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)
def test_every_visual_is_drawn_and_its_table_is_what_athena_answers(seen: LakeSeen, athena: Any, sheet: Sheet) -> None:
    seen.open(sheet)
    for visual in sheet.visuals:
        assert seen.state(visual.id) == "drawn", seen.text(visual.id)
        marks = seen.page.locator(f"#visual-{visual.id} .body").locator("svg, canvas, .bars, table, .kpi-value")
        assert marks.count() >= 1
        _assert_shows(seen.table(visual.id), _answer(athena, visual.id, {}))
    if sheet is DASHBOARD.sheets[0]:
        keep(seen, sheet.id)
    assert seen.complaints == []


def test_a_filter_changes_the_charts_to_what_athena_answers(seen: LakeSeen, athena: Any) -> None:
    seen.open(SHEETS["city"])
    before = seen.table("speed-by-time")
    seen.page.locator("#filter-route summary").click()
    seen.page.get_by_role("checkbox", name="london-birmingham").check()
    seen.settle(SHEETS["city"])
    after = seen.table("speed-by-time")
    assert len(after) < len(before)
    _assert_shows(after, _answer(athena, "speed-by-time", {"route": ("london-birmingham",)}))
    # The mart of the whole city has no route, so that its numbers stay.
    _assert_shows(seen.table("mean-speed"), _answer(athena, "mean-speed", {}))
    seen.page.reload()
    seen.settle(SHEETS["city"])
    assert seen.table("speed-by-time") == after
    assert seen.complaints == []


def test_a_click_filters_the_other_visuals_and_a_second_one_takes_it_back(seen: LakeSeen, athena: Any) -> None:
    seen.open(SHEETS["city"])
    before = seen.table("active-map")
    bar = seen.page.get_by_role("button", name="Filter by accident, reported")
    bar.focus()
    seen.page.keyboard.press("Enter")
    seen.settle(SHEETS["city"])
    clicked = {"clicked.type": ("accident",), "clicked.status": ("reported",)}
    after = seen.table("active-map")
    assert 0 < len(after) < len(before)
    _assert_shows(after, _answer(athena, "active-map", clicked))
    _assert_shows(seen.table("speed-by-time"), _answer(athena, "speed-by-time", {}))
    seen.page.get_by_role("button", name="Take the click's filter away").click()
    seen.settle(SHEETS["city"])
    assert seen.table("active-map") == before
    assert seen.complaints == []


@pytest.mark.parametrize(("name", "size", "scheme"), [("phone", (390, 844), "light"), ("dark", (1280, 720), "dark")])
def test_nothing_sticks_out(browser: Any, dashboard: str, name: str, size: tuple[int, int], scheme: str) -> None:
    viewport = dict(zip(("width", "height"), size, strict=True))
    with open_seen(browser, dashboard, None, LakeSeen, viewport=viewport, color_scheme=scheme) as seen:
        seen.open(SHEETS["traffic"])
        seen.assert_within()
        keep(seen, name)
        assert seen.complaints == []


def test_a_lake_without_a_day_says_so(browser: Any, empty_dashboard: str) -> None:
    with open_seen(browser, empty_dashboard, None, LakeSeen) as seen:
        seen.open(SHEETS["city"])
        for visual in SHEETS["city"].visuals:
            assert seen.state(visual.id) == "empty"
            assert "no day of this yet" in seen.text(visual.id)
        assert seen.complaints == []


def test_an_athena_that_cannot_be_reached_is_named_in_each_visual(browser: Any, lost_dashboard: str) -> None:
    with open_seen(browser, lost_dashboard, None, LakeSeen) as seen:
        seen.open(SHEETS["city"])
        for visual in SHEETS["city"].visuals:
            assert seen.state(visual.id) == "failed"
            assert "cannot be reached" in seen.text(visual.id)
            assert seen.page.locator(f"#visual-{visual.id}").get_by_role("button", name="Ask again").count() == 1
        # The browser itself reports an answer of 502.
        assert all("502" in each for each in seen.complaints)


def test_the_live_map_lies_on_land_and_water(seen: LakeSeen) -> None:
    seen.page.goto(seen.url)
    seen.page.wait_for_function(WATER, timeout=DEADLINE_MS)
    assert seen.complaints == []


def test_a_frame_that_the_lake_keeps_is_served_as_a_picture(dashboard: str) -> None:
    with urllib.request.urlopen(f"{dashboard}/lake/{likely_lake.JPEG_KEY}", timeout=60) as answer:
        assert answer.read() == likely_lake.JPEG
        assert answer.headers["Content-Type"] == "image/jpeg"
    for path in ("lake/frames/ab/none.jpg", "lake/marts/speed_by_km/x.jpg"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{dashboard}/{path}", timeout=60)
        assert refused.value.code == 404
