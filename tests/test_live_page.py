"""The live page and a vehicle's page in a real browser, behind a real Mosquitto. Devices use the simulator's encoders.

With SMARTCITY_PICTURES=docs/images the pages are kept there as pictures.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smartcity.contracts.routes import route
from smartcity.contracts.streams import GPS
from smartcity.dashboard.nmea import checksum

from .browser import CHROMIUM, Seen, chromium, counting_bridge, dashboard, mosquitto, seen
from .live_devices import Convoy, Repeating, Town, Wire, report_incident

pytest.importorskip("playwright.sync_api", reason="no Playwright: make setup-tests installs it")
pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: make setup-tests installs it"),
    pytest.mark.timeout(900),
]

PAGE = "import('/static/live/main.js').then(({ page }) => page)"
NAME_OFF_ROAD_PX = 6
FAST_KMH = 5000.0
"""Some seven pixels a second on the whole road: motion that a test can see within seconds."""

FOLLOW = """async ([name, seconds]) => {
  const { page } = await import('/static/live/main.js');
  const found = [];
  const begun = performance.now();
  await new Promise(done => requestAnimationFrame(function look(now) {
    const vehicle = page.city.vehicles.get(name);
    if (vehicle?.paintedX !== undefined) found.push([now, vehicle.paintedX, vehicle.paintedY]);
    if (now - begun > seconds * 1000) done(); else requestAnimationFrame(look);
  }));
  return found;
}"""
"""Where a vehicle is painted, frame by frame: milliseconds, and pixels of its map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """What runs, and a wire into its gateway."""

    url: str
    wire: Wire


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with mosquitto(tmp_path) as port, dashboard(tmp_path, port) as running:
        wire = Wire(port)
        yield City(url=running.url, wire=wire)
        wire.close()


def assert_calm(page: Seen) -> None:
    assert page.complaints == []


def test_vehicles_glide_and_never_jump(browser: Any, city: City) -> None:
    convoy = Convoy(city.wire, "waterloo-toronto", 3, kmh=FAST_KMH)
    with Repeating(1, convoy.drive), seen(browser, city.url) as page:
        page.until(f"{PAGE}.then(page => (page.city.vehicles.get('row-001')?.motion?.stepMs ?? 0) > 0)")
        before = page.picture("one")
        steps = page.page.evaluate(FOLLOW, ["row-001", 6])
        assert page.picture("two") != before
        assert_calm(page)
    way = sum(distance(a, b) for a, b in itertools.pairwise(steps))
    seconds = (steps[-1][0] - steps[0][0]) / 1000
    assert way > 15, steps
    for one, two in itertools.pairwise(steps):
        # A sighting a second without interpolation would be a jump of some seven pixels; twice the mean speed is none.
        assert distance(one, two) < 1.5 + 2.5 * (way / seconds) * (two[0] - one[0]) / 1000
    moved = sum(distance(a, b) > 0 for a, b in itertools.pairwise(steps))
    assert moved > 5 * seconds, f"{moved} steps in {seconds} s: it stands between sightings"


def distance(one: list[float], two: list[float]) -> float:
    return float(abs(one[1] - two[1]) + abs(one[2] - two[2]))


def test_an_interpolated_way_is_continuous_and_bounded(browser: Any, city: City) -> None:
    """The pure part, with sightings that come late, in bursts, not at all, and from elsewhere."""
    with seen(browser, city.url) as page:
        found = page.page.evaluate(
            """async () => {
              const { Motion } = await import('/static/live/motion.js');
              let random = 1;
              const next = () => (random = (random * 48271) % 2147483647) / 2147483647;
              let worst = 0;
              for (let run = 0; run < 200; run += 1) {
                const speed = 1e-7 + next() * 1e-5;
                const motion = new Motion(43, -80, 0, 0);
                let [due, last] = [1000, null];
                for (let now = 0; now < 20000; now += 16) {
                  if (now >= due) {
                    motion.sight(43 + speed * now + (next() - 0.5) * speed * 200, -80, now, now + next() * 40);
                    due = now + [30, 1000, 1000, 2500][Math.floor(next() * 4)];
                  }
                  const { latitude } = motion.at(now);
                  if (last !== null) worst = Math.max(worst, Math.abs(latitude - last) / (speed * 16));
                  last = latitude;
                }
              }
              const left = new Motion(43, -80, 0, 0);
              left.sight(43.001, -80, 1000, 1000);
              const ahead = (left.at(1e9).latitude - 43.001) / 0.001;
              const moving = [left.isMoving(1500), left.isMoving(4000)];
              left.sight(43.9, -80, 5000, 5000);
              return { worst, ahead, moving, restarted: left.at(5000).latitude };
            }"""
        )
        assert_calm(page)
    # Corrections are worn off at a few times the speed, and never at once: a jump would be a hundred times it.
    assert found["worst"] < 25
    assert found["ahead"] == pytest.approx(1.5)
    assert found["moving"] == [True, False]
    assert found["restarted"] == 43.9


def test_who_is_silent_fades_and_says_so_and_who_goes_is_offline(browser: Any, city: City) -> None:
    Convoy(city.wire, "london-birmingham", 2).drive()
    for name in ("row-001", "row-002"):
        city.wire.status(name)
    with seen(browser, city.url) as page:
        page.until("document.querySelector('#vehicles').textContent.includes('km/h')")
        page.until("document.querySelector('#vehicles a[data-name=row-001]').textContent.includes('silent for')")
        city.wire.status("row-002", state="offline")
        page.until("document.querySelector('#vehicles a[data-name=row-002]').textContent.includes('offline')")
        dot = page.page.locator("#vehicles a[data-name=row-001] .dot")
        assert "speed-5" in dot.get_attribute("class")
        page.until("document.getElementById('devices-online').textContent === '1 of 2'")
        assert_calm(page)


def test_a_cameras_frame_loads_and_is_another_one_later(browser: Any, city: City) -> None:
    town = Town(city.wire, vehicles=1, rate=15, warm_s=60)
    loaded = """part => {
      const frame = document.getElementById('frame');
      return frame.naturalWidth === 480 && frame.src.includes(part) && frame.src;
    }"""
    other = (
        "src => document.getElementById('frame').src !== src && document.getElementById('frame').naturalWidth === 480"
    )
    with Repeating(10, town.drive), seen(browser, city.url) as page:
        page.until(loaded, "/frames/")
        # A camera is chosen by keyboard, on the list; its sign on the map does the same.
        page.until("document.getElementById('camera').options.length > 4")
        page.page.locator("#camera").focus()
        page.page.keyboard.press("ArrowDown")
        name = page.page.locator("#camera").input_value()
        page.until(other, page.until(loaded, f"/frames/{name}.jpg"))
        assert name in page.page.locator("#frame").get_attribute("src")
        x, y = page.page.evaluate(
            f"""{PAGE}.then(page => {{
              const isOther = ([thing]) => thing.kind === 'cameras' && thing.name !== '{name}';
              const map = page.maps.find(map => map.marks.some(isOther));
              const [, x, y] = map.marks.find(isOther);
              const box = map.canvas.getBoundingClientRect();
              return [box.left + x, box.top + y];
            }})"""
        )
        page.page.mouse.click(x, y)
        page.until(f"document.getElementById('camera').value !== '{name}'")
        assert_calm(page)


def test_an_incident_appears_changes_and_resolves(browser: Any, city: City) -> None:
    place = {"latitude": 43.5, "longitude": -79.9}
    on_map = f"{PAGE}.then(page => page.maps[0].marks.filter(([thing]) => thing.kind === 'incidents').length)"
    item = "document.querySelector('#incidents li')?.className"
    with seen(browser, city.url) as page:
        page.until("document.getElementById('lamp-gateway').classList.contains('good')")
        for status in ("reported", "responding", "resolved"):
            report_incident(city.wire, 1, status, **place)
            page.until(f"{item} === '{status}'")
            page.until(f"{on_map}.then(count => count === 1)")
            assert f"accident {status}" in page.until("document.getElementById('said').textContent")
            assert page.page.locator("#incident-count").inner_text() == ("0" if status == "resolved" else "1")
            time.sleep(4.1 if status != "resolved" else 0)  # What is said aloud is said every four seconds.
        page.until(f"{on_map}.then(count => count === 0)")
        assert_calm(page)


def test_a_vehicles_page_is_reached_by_keyboard_and_shows_what_came(browser: Any, city: City) -> None:
    convoy = Convoy(city.wire, "waterloo-toronto", 3)
    city.wire.status("row-002", pending=7, refused=1)
    with Repeating(2, convoy.drive), seen(browser, city.url) as page:
        page.until("document.querySelectorAll('#vehicles a').length === 3")
        for _ in range(40):
            page.page.keyboard.press("Tab")
            if page.page.evaluate("document.activeElement.dataset.name") == "row-001":
                break
        assert page.page.evaluate("document.activeElement.dataset.name") == "row-001"
        assert page.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.page.keyboard.press("ArrowDown")
        page.until(f"{PAGE}.then(page => page.chosen?.name === 'row-002')")
        page.page.keyboard.press("Enter")
        page.page.wait_for_url("**/vehicle/row-002")
        page.until("document.querySelectorAll('#charts svg path').length === 4")
        assert page.page.locator("#state").inner_text().startswith("online since")
        assert page.page.locator("#kind").inner_text().endswith(" · car")
        counts = page.page.locator("#counts").inner_text().split("\n")
        assert [counts[counts.index(name) + 1] for name in ("waiting", "refused by the gateway")] == ["7", "1"]
        assert "latitude" in page.page.locator("#gps details[open]").inner_text()
        assert "Engine speed: " in page.page.locator("#obd").inner_text()
        # The first sentence is unfolded and stays so; another one is unfolded by keyboard.
        summary = page.page.locator("#gps summary").nth(1)
        summary.focus()
        page.page.keyboard.press("Enter")
        page.until("document.querySelectorAll('#gps details[open]').length === 2")
        assert_calm(page)


def test_a_broken_sentence_says_what_is_wrong(browser: Any, city: City) -> None:
    body = "GPRMC,081836.00,A,4330.0000,N,07954.0000,W,010.0,270.0,130926,,,A"
    right = f"{checksum(body.encode()):02X}"
    wrong = "00" if right != "00" else "01"
    city.wire.say("row-001", GPS, f"${body}*{wrong}\r\n".encode(), None, datetime.now(UTC))
    with seen(browser, city.url, "/vehicle/row-001") as page:
        page.until("document.querySelector('#gps .trouble')?.textContent")
        assert f"give {right}" in page.page.locator("#gps .trouble").inner_text()
        assert_calm(page)


def test_markup_of_a_device_stays_text(browser: Any, city: City) -> None:
    evil = "<img src=x onerror=alert(1)><b id=evil>"
    convoy = Convoy(city.wire, "waterloo-toronto", 1)
    convoy.drive(engine=False)
    place = {"latitude": 43.5, "longitude": -79.9}
    report_incident(city.wire, 2, evil, **place)
    city.wire.say("row-001", GPS, evil.encode(), {"vehicle_type": evil}, datetime.now(UTC))
    for path in ("/", "/vehicle/row-001"):
        with seen(browser, city.url, path) as page:
            page.until("document.body.textContent.includes('<b id=evil>')")
            assert page.page.locator("#evil").count() == 0
            assert_calm(page)


def test_five_hundred_vehicles_are_drawn_many_times_a_second(browser: Any, city: City) -> None:
    convoys = [
        Convoy(city.wire, road, 250, kmh=FAST_KMH, prefix=prefix)
        for road, prefix in (("waterloo-toronto", "w"), ("london-birmingham", "l"))
    ]

    def drive() -> None:
        for convoy in convoys:
            convoy.drive_some(25)

    with Repeating(10, drive), seen(browser, city.url) as page:
        page.until(f"{PAGE}.then(page => page.maps.reduce((sum, map) => sum + map.shown.length, 0) === 500)")
        page.page.evaluate("import('/static/live/measure.js').then(measure => { measure.taken(); })")
        page.page.wait_for_timeout(5000)
        frames = page.page.evaluate("import('/static/live/measure.js').then(measure => measure.taken().frames)")
        rate = 1000 * (len(frames) - 1) / (frames[-1] - frames[0])
        print(f"{rate:.1f} frames/s with 500 vehicles")
        # tests/bench/dashboard.py measures; here other tests may take most of the machine.
        assert rate > 5
        assert_calm(page)


def test_who_wants_no_motion_gets_none(browser: Any, city: City) -> None:
    convoy = Convoy(city.wire, "waterloo-toronto", 1, kmh=FAST_KMH)
    with Repeating(1, convoy.drive), seen(browser, city.url, reduced_motion="reduce") as page:
        page.until(f"{PAGE}.then(page => page.city.vehicles.get('row-001')?.paintedX !== undefined)")
        steps = page.page.evaluate(FOLLOW, ["row-001", 5])
        places = {(round(x, 2), round(y, 2)) for _, x, y in steps}
        assert 2 <= len(places) <= 9, "a place for each sighting, and none between"
        assert_calm(page)


def test_names_keep_off_the_road_and_weather_off_names_and_other_weather(browser: Any, city: City) -> None:
    town = Town(city.wire, vehicles=1, rate=15, warm_s=60)
    maps = f"""{PAGE}.then(page => page.maps.map(({{ names, road, chipPlaces }}) =>
      ({{ names, road, chips: [...chipPlaces.values()] }})))"""
    with Repeating(5, town.drive), seen(browser, city.url) as page:
        page.until(f"{maps}.then(all => all[1] && all.every(map => map.names.length && map.chips.length > 7))")
        for each in page.page.evaluate(maps):
            assert len(each["names"]) > 15 * 4, "four points on each name"
            assert min(math.dist(name, point) for name in each["names"] for point in each["road"]) > NAME_OFF_ROAD_PX
            # Where it is crowded, a name may be half covered.
            assert len([1 for chip in each["chips"] for name in each["names"] if is_under(name, chip, 23, 9)]) <= 2
            on_map = [chip for chip in each["chips"] if min(chip) > 0]
            assert not [one for one, other in itertools.combinations(on_map, 2) if is_under(one, other, 40, 15)]


def is_under(point: list[float], other: list[float], wide: float, high: float) -> bool:
    return abs(point[0] - other[0]) < wide and abs(point[1] - other[1]) < high


def test_what_is_not_there_is_said_with_what_to_do(browser: Any, city: City) -> None:
    with seen(browser, city.url) as page:
        page.until("!document.getElementById('nothing').hidden")
        page.until("document.getElementById('start-command').textContent.includes('--broker 127.0.0.1:')")
        assert "No vehicles yet" in page.page.locator("#nothing").inner_text()
        for words in ("None has been reported.", "No station has reported yet.", "No frame has come yet."):
            assert words in page.page.locator("main").inner_text()
        page.picture("live-empty")
        assert_calm(page)
    with seen(browser, city.url, "/vehicle/nobody") as page:
        page.until("!document.getElementById('unknown').hidden")
        assert "No device nobody has been heard" in page.page.locator("#unknown").inner_text()
        # It looks again by itself.
        Convoy(city.wire, "waterloo-toronto", 1, prefix="x").drive()
        page.page.goto(f"{city.url}/vehicle/x-001")
        page.until("!document.getElementById('known').hidden")
        assert_calm(page)


def test_a_dashboard_that_is_gone_is_said_and_one_that_is_back_is_seen(browser: Any, tmp_path: Path) -> None:
    with mosquitto(tmp_path) as port, dashboard(tmp_path, port) as running, seen(browser, running.url) as page:
        page.until("document.getElementById('lamp-page').classList.contains('good')")
        served = int(running.url.rpartition(":")[2])
        running.process.kill()
        running.process.wait(20)
        page.until("document.getElementById('banner').textContent.includes('does not answer; what you see is old')")
        assert page.page.locator("#lamp-page").get_attribute("class") == "lamp bad"
        with dashboard(tmp_path, port, port=served):
            page.until("document.getElementById('lamp-page').classList.contains('good')")


def test_a_breach_of_the_content_security_policy_would_be_noticed(browser: Any, city: City) -> None:
    """The other tests' `assert_calm` sees it."""
    with seen(browser, city.url) as page:
        page.until("document.getElementById('lamp-page').classList.contains('good')")
        page.page.evaluate("document.body.setAttribute('style', 'color: red')")
        page.page.evaluate("document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x.png' }))")
        page.page.wait_for_timeout(500)
        assert any("style-src" in each for each in page.complaints)
        assert any("img-src" in each for each in page.complaints)


def test_pictures(browser: Any, tmp_path: Path) -> None:
    """Nothing sticks out, light and dark, on a laptop and on a phone."""
    phone = {"viewport": {"width": 390, "height": 844}}
    ready = """document.querySelectorAll('#vehicles a').length === 82
      && document.getElementById('weather').rows.length > 8 && document.getElementById('frame').naturalWidth > 0
      && document.getElementById('lamp-bridge').classList.contains('good')"""
    with mosquitto(tmp_path) as port, counting_bridge() as bridge, dashboard(tmp_path, port, bridge=bridge) as running:
        wire = Wire(port)
        town = Town(wire, vehicles=1, rate=4, warm_s=300)
        rows = [
            Convoy(wire, "waterloo-toronto", 40, prefix="car", gap_km=2.6),
            Convoy(wire, "london-birmingham", 40, prefix="van", gap_km=4.9),
        ]
        names = [name for row in rows for name in row.names]

        def drive() -> None:
            town.drive()
            for row in rows:
                row.drive_some(4)

        def report() -> None:
            for name in names:
                wire.status(name, pending=len(name) - 5)

        with Repeating(10, drive), Repeating(0.2, report):
            for number, (status, kind, km) in enumerate(
                (("resolved", "police", 26.0), ("responding", "fire", 84.0), ("reported", "accident", 55.0))
            ):
                latitude, longitude = route("waterloo-toronto").point_at(km)
                report_incident(wire, number, status, latitude=latitude, longitude=longitude, kind=kind, km=km)
            for name, how in (("live-map", {}), ("live-dark", {"color_scheme": "dark"}), ("live-phone", phone)):
                with seen(browser, running.url, **how) as page:
                    page.until(ready)
                    page.page.wait_for_timeout(3000)
                    if name == "live-map":
                        page.page.locator("#vehicles a[data-name=car-017]").focus()
                        page.page.wait_for_timeout(300)
                    page.assert_within()
                    page.picture(name, full_page=name == "live-phone")
                    assert_calm(page)
            for name, how in (("vehicle", {}), ("vehicle-phone", phone)):
                with seen(browser, running.url, "/vehicle/car-017", **how) as page:
                    page.until("document.querySelectorAll('#charts svg path').length === 4")
                    page.assert_within()
                    page.picture(name, full_page=True)
                    assert_calm(page)
        wire.close()
