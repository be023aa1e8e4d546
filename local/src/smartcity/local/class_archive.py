"""The archive of classes beside Spark's jars, made once: every start of a driver here is that much shorter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from smartcity.lake.jars import CLASS_ARCHIVE

from .environment import child_environment
from .jars import Progress, ivy_jar
from .programs import Java
from .services.lake import JVM

TIMEOUT_S = 600


def provide_archive(jars: Path, java: Java, progress: Progress) -> bool:
    """Make the archive, unless there is one for this Java and this pyspark. Returns whether it was made.

    Where it cannot be made, that is told, and drivers start without.
    """
    archive, key = jars / CLASS_ARCHIVE, jars / f"{CLASS_ARCHIVE}.key"
    wanted = _key(java)
    if archive.is_file() and key.is_file() and key.read_text() == wanted:
        return False
    progress("spark: keeping its classes in an archive for faster starts, takes about 40 s, once")
    fresh, log = jars / f"{CLASS_ARCHIVE}.new", jars / f"{CLASS_ARCHIVE}.log"
    for path in (archive, key, fresh):
        path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "smartcity.lake.class_archive", str(jars.resolve()), str(fresh.resolve())]
    additions = {"JAVA_HOME": str(java.home), "JAVA_TOOL_OPTIONS": JVM, "SPARK_LOCAL_IP": "127.0.0.1"}
    try:
        # Its output ends when the JVM has written the archive and ended, too.
        done = subprocess.run(
            command, env=child_environment(additions), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        output = done.stdout
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        fresh.unlink(missing_ok=True)  # Half a file would be one to the JVM.
    log.write_bytes(output)
    if not fresh.is_file():
        progress(f"spark: no archive was made, so its starts stay slow; see {log}")
        return False
    fresh.replace(archive)
    key.write_text(wanted)
    log.unlink()
    return True


def _key(java: Java) -> str:
    """What an archive depends on beside the jars of the set, which set-up has checked by then: Java, and pyspark's."""
    release = java.home / "release"
    version = release.read_text() if release.is_file() else java.major
    bundled = ivy_jar()
    return f"{java.program.resolve()}\n{version}\n{bundled} {bundled.stat().st_mtime_ns}\n"
