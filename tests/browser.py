"""A real dashboard beside a real Mosquitto, and headless Chromium that looks at it."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from smartcity.aws.dashboard.definition import Sheet

from .conftest import has_time

DEADLINE_S = 120.0
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
RED_WITHIN_S = 5.0 if has_time() else 60.0
SETTLED = """ids => ids.every(id => {
  const state = document.getElementById('visual-' + id)?.dataset.state;
  return ['drawn', 'empty', 'failed'].includes(state);
})"""
MARGIN_PX = 8
FRAMED_SIDES = """() => [...document.querySelectorAll('main .card, main .panel, main section, main .map')]
  .map(each => each.getBoundingClientRect())
  .filter(({ width }) => width > 0)
  .flatMap(({ left, right }) => [left, document.documentElement.clientWidth - right])"""
VIOLATIONS = """document.addEventListener('securitypolicyviolation', event =>
  console.error('against the policy: ' + event.violatedDirective + ' ' + event.blockedURI))"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """The port of a gateway that lets everybody in."""
    binary = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert binary, "install mosquitto"
    port = free_port()
    configuration = folder / "mosquitto.conf"
    configuration.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\n"
    )
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen([binary, "-c", str(configuration)], stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def counting_bridge() -> Iterator[str]:
    """The address of something that counts as a bridge does, so that a page has nothing to complain of."""

    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"".join(
                b"smartcity_bridge_%s %d\n" % count
                for count in ((b"received_total", 41_210), (b"delivered_total", 41_204), (b"in_flight", 6))
            )
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Not a word."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """The process, and where it serves."""

    process: subprocess.Popen[bytes]
    url: str


@contextlib.contextmanager
def dashboard(
    folder: Path, mqtt_port: int, *, port: int | None = None, bridge: str | None = None
) -> Iterator[Dashboard]:
    """A dashboard that is connected to the gateway; without `bridge`, an address, nobody answers as one.

    Raises:
        AssertionError: it does not come up within DEADLINE_S, or ends with another code than 0.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "smartcity.dashboard.main", "run", "--listen", f"127.0.0.1:{port}"]
    command += ["--mqtt", f"127.0.0.1:{mqtt_port}", "--bridge", bridge or f"http://127.0.0.1:{free_port()}"]
    url = f"http://localhost:{port}"
    with (folder / "dashboard.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not _is_connected(url):
            assert process.poll() is None, (folder / "dashboard.log").read_text()
            assert time.monotonic() < deadline, "the dashboard does not come up"
            time.sleep(0.05)
        yield Dashboard(process=process, url=url)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    assert code in (0, -signal.SIGKILL), (folder / "dashboard.log").read_text()


def _is_connected(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            return b'"connected"' in answer.read()
    except OSError:
        return False


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """The browser. Frames are drawn by software, as on a machine without a graphics processor."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - Only who looks needs it.

    with sync_playwright() as started:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = started.chromium.launch(executable_path=CHROMIUM, args=[*flags, "--disable-gpu"])
        yield browser
        browser.close()


@dataclass(kw_only=True)
class Seen:
    """A page of the browser, and what it complained of."""

    page: Any
    url: str
    complaints: list[str] = field(default_factory=list)

    def until(self, condition: str, argument: Any = None) -> Any:
        """Waits for JavaScript, an expression or a function of the argument, that is true; gives its value."""
        # An expression would be evaluated by the page, which its policy forbids.
        function = condition if argument is not None else f"() => ({condition})"
        return self.page.wait_for_function(function, arg=argument, timeout=1000 * DEADLINE_S).json_value()

    def assert_within(self) -> None:
        """Nothing sticks out of the window, and what is framed keeps a distance from its sides."""
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        sides = self.page.evaluate(FRAMED_SIDES)
        assert sides
        assert min(sides) >= MARGIN_PX, sides

    def picture(self, name: str, *, full_page: bool = False) -> bytes:
        """The page as PNG; kept where SMARTCITY_PICTURES says."""
        png: bytes = self.page.screenshot(full_page=full_page)
        if os.environ.get("SMARTCITY_PICTURES"):
            (Path(os.environ["SMARTCITY_PICTURES"]) / f"{name}.png").write_bytes(png)
        return png


class FlowSeen(Seen):
    """The pipeline's page."""

    def state(self, part: str) -> str:
        found = self.page.locator(f'[data-part="{part}"]').get_attribute("class") or ""
        return str(found.removeprefix("part "))

    def wait_state(self, part: str, state: str, within_s: float = DEADLINE_S) -> float:
        """Seconds until the part is shown so."""
        started = time.monotonic()
        selector = f'[data-part="{part}"].{state}'
        self.page.wait_for_selector(selector, timeout=within_s * 1000, state="attached")
        return time.monotonic() - started


class LakeSeen(Seen):
    """The lake's page."""

    def open(self, sheet: Sheet) -> None:
        self.page.goto(f"{self.url}/lake#sheet={sheet.id}")
        self.settle(sheet)

    def settle(self, sheet: Sheet) -> None:
        self.until(SETTLED, [visual.id for visual in sheet.visuals])

    def state(self, visual: str) -> str | None:
        found: str | None = self.page.locator(f"#visual-{visual}").get_attribute("data-state")
        return found

    def text(self, visual: str) -> str:
        return str(self.page.locator(f"#visual-{visual} .body").inner_text())

    def table(self, visual: str) -> list[list[str]]:
        """What the visual's table shows, cell by cell; the keyboard brings it and takes it away."""
        toggle = self.page.locator(f"#visual-{visual} .as-table")
        if toggle.count():
            toggle.focus()
            self.page.keyboard.press("Enter")
        rows: list[list[str]] = self.page.locator(f"#visual-{visual} tbody").evaluate(
            "body => [...body.rows].map(row => [...row.cells].map(cell => cell.textContent))"
        )
        if toggle.count():
            self.page.keyboard.press("Enter")
        return rows


Page = TypeVar("Page", bound=Seen)


@contextlib.contextmanager
def seen(browser: Any, url: str, path: str | None = "/", kind: type[Page] = Seen, **how: Any) -> Iterator[Page]:
    """A page of this kind, opened at the path if there is one; what it says to the console as an error is kept,
    breaches of the policy among it."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 720}, "color_scheme": "light"} | how)
    context.add_init_script(VIOLATIONS)
    page = context.new_page()
    page.set_default_timeout(1000 * DEADLINE_S)
    looked = kind(page=page, url=url)
    page.on("console", lambda message: looked.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: looked.complaints.append(str(error)))
    try:
        if path is not None:
            page.goto(url + path)
        yield looked
    finally:
        context.close()
