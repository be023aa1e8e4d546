"""Kafka's and Spark's jars: resolved from Maven Central by the Ivy that pyspark brings, then checked file by file.

`jar_lists/kafka.txt` and `jar_lists/spark.txt` list every jar with its size and SHA-256, so nothing is resolved
transitively, every machine gets the same bytes, and Ivy's exit code (which hides failures) need not be trusted.
A folder appears under its final name only once it is whole; an interrupted download is resumed from Ivy's cache.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources, util
from pathlib import Path
from xml.sax.saxutils import quoteattr

from .errors import SetupError
from .layout import Layout
from .programs import Java

SETS = ("kafka", "spark")
DOWNLOAD_TIMEOUT_S = 900
ATTEMPTS = 3
JARS_PER_PROCESS = 16
LIGHT_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m")
PROGRESS_INTERVAL_S = 5.0
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One jar, or another archive, by its Maven coordinates, with the size and digest that it must have."""

    group: str
    artifact: str
    version: str
    size_bytes: int
    sha256: str
    extension: str = "jar"

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.{self.extension}"

    @property
    def coordinates(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def link_jars(source: Layout, target: Layout) -> None:
    """One stack's folder lends another its jars, by links: where that has none, and does not share the clone's."""
    for name in SETS:
        folder = target.jars(name)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.exists():
            folder.symlink_to(source.jars(name).resolve())


def expected(name: str) -> tuple[Jar, ...]:
    """The files of a set: `kafka`, `spark`, or `trino`, which only `make trino` wants."""
    return parse_list(resources.files(__package__).joinpath("jar_lists", f"{name}.txt").read_text())


def parse_list(text: str) -> tuple[Jar, ...]:
    """Lines of `group:artifact:version[:extension] size sha256`; `#` begins a comment."""
    jars = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            coordinates, size, sha256 = line.split()
            group, artifact, version, *extension = coordinates.split(":")
            jars.append(
                Jar(
                    group=group,
                    artifact=artifact,
                    version=version,
                    size_bytes=int(size),
                    sha256=sha256,
                    extension=extension[0] if extension else "jar",
                )
            )
    return tuple(jars)


def missing(folder: Path, jars: Sequence[Jar], *, digests: bool = False) -> list[str]:
    """What is wrong with a folder, one line per jar; empty where it is whole. Sizes always, digests on request."""
    wrong = []
    for jar in jars:
        path = folder / jar.file_name
        if not path.is_file():
            wrong.append(f"{jar.file_name} is missing")
        elif path.stat().st_size != jar.size_bytes:
            wrong.append(f"{jar.file_name} has {path.stat().st_size} bytes instead of {jar.size_bytes}")
        elif digests and _sha256(path) != jar.sha256:
            wrong.append(f"{jar.file_name} has another SHA-256 than expected")
    names = {jar.file_name for jar in jars}
    extra = sorted(path.name for path in folder.glob("*.jar") if path.name not in names)
    return wrong + [f"{name} does not belong here" for name in extra]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def provide(name: str, folder: Path, java: Java, progress: Progress) -> bool:
    """Make `folder` hold exactly the jars of a set. Returns False where it did already.

    Raises:
        SetupError: they could not be downloaded; names the first that is wrong and the log.
    """
    jars = expected(name)
    if not missing(folder, jars):
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    cache = folder.parent / f".{name}.cache"
    fresh = folder.parent / f".{name}.new"
    log = folder.parent / f"{name}.log"
    wrong: list[str] = []
    for attempt in range(1, ATTEMPTS + 1):
        shutil.rmtree(fresh, ignore_errors=True)
        _resolve(name, jars, java=java, cache=cache, target=fresh, log=log, progress=progress)
        wrong = missing(fresh, jars, digests=True)
        if not wrong:
            break
        progress(f"{name}: attempt {attempt} of {ATTEMPTS}: {wrong[0]} ({len(wrong)} in all)")
        # A digest that differs must not come from the cache again.
        if any("SHA-256" in line or "bytes" in line for line in wrong):
            shutil.rmtree(cache, ignore_errors=True)
    if wrong:
        raise SetupError(
            f"{name}'s jars could not be downloaded from Maven Central: {wrong[0]} ({len(wrong)} in all)"
            f"{_cause(log)}; see {log}, check the network, and repeat: smartcity setup"
        )
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)
    shutil.rmtree(cache, ignore_errors=True)
    return True


def ivy_module(jars: Sequence[Jar]) -> str:
    """An Ivy module that depends on exactly these jars, each without its own dependencies."""
    lines = [
        f"<dependency org={quoteattr(jar.group)} name={quoteattr(jar.artifact)} rev={quoteattr(jar.version)}"
        f' transitive="false" conf="default->master">{_archive(jar)}</dependency>'
        for jar in jars
    ]
    return (
        '<ivy-module version="2.0"><info organisation="smartcity" module="jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{''.join(lines)}</dependencies></ivy-module>\n"
    )


def _archive(jar: Jar) -> str:
    """A module's file that is no jar has to be named."""
    if jar.extension == "jar":
        return ""
    return f'<artifact name={quoteattr(jar.artifact)} type="archive" ext={quoteattr(jar.extension)}/>'


def ivy_jar() -> Path:
    """The Ivy inside pyspark.

    Raises:
        SetupError: pyspark is not installed.
    """
    spec = util.find_spec("pyspark")
    found = sorted(Path(spec.origin).parent.glob("jars/ivy-*.jar")) if spec and spec.origin else []
    if not found:
        raise SetupError("pyspark is not installed in this environment; run: make setup")
    return found[-1]


def _resolve(
    name: str, jars: Sequence[Jar], *, java: Java, cache: Path, target: Path, log: Path, progress: Progress
) -> None:
    """Several Ivy processes at once, since each asks for one file after the other. Failures show in `target` only."""
    target.mkdir(parents=True)
    parts = -(-len(jars) // JARS_PER_PROCESS)
    downloads: list[subprocess.Popen[bytes]] = []
    modules = [target / f"ivy-{part}.xml" for part in range(parts)]
    with log.open("w") as output:
        try:
            for part, module in enumerate(modules):
                module.write_text(ivy_module(jars[part::parts]))
                command = [str(java.program), *LIGHT_JVM, "-jar", str(ivy_jar()), "-cache", str(cache / str(part))]
                command += ["-ivy", str(module), "-confs", "default", "-types", "jar", "bundle", "archive"]
                command += ["-retrieve", f"{target}/[artifact]-[revision].[ext]"]
                downloads.append(
                    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
                )
            _follow(name, downloads, cache, jars, progress)
        finally:
            for download in downloads:
                if download.poll() is None:
                    download.kill()
                download.wait()
    for module in modules:
        module.unlink()


def _follow(
    name: str, downloads: Sequence[subprocess.Popen[bytes]], cache: Path, jars: Sequence[Jar], progress: Progress
) -> None:
    """Tell how far a download is, every few seconds, until it ends or its time is over."""
    total = sum(jar.size_bytes for jar in jars)
    began = told = time.monotonic()
    while any(download.poll() is None for download in downloads):
        now = time.monotonic()
        if now - began > DOWNLOAD_TIMEOUT_S:
            return
        if now - told > PROGRESS_INTERVAL_S:
            told = now
            looked_up = sum(any(cache.glob(f"*/{jar.group}/{jar.artifact}/ivy-*.xml")) for jar in jars)
            extensions = {jar.extension for jar in jars}
            done = sum(_size(path) for one in extensions for path in cache.rglob(f"*.{one}*"))
            megabytes = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
            progress(f"{name}: {looked_up} of {len(jars)} looked up, {megabytes}")
        time.sleep(0.1)


def _cause(log: Path) -> str:
    """What the server or the network said, as far as Ivy's output tells."""
    found = re.search(r"Server access error at url \S+ \((.+)\)", log.read_text(errors="replace"))
    return f"; {found[1]}" if found else ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
