"""`smartcity setup`: the jars, and the archive of Spark's classes.

`make setup` does what comes before: Python environment, Mosquitto, Java.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..class_archive import provide_archive
from ..jars import SETS, expected, provide
from ..layout import Layout
from ..programs import find_java, find_mosquitto


def add_parser(subparsers: Any) -> None:
    subparsers.add_parser(
        "setup",
        help="fetch Kafka's and Spark's jars from Maven Central and check them",
        epilog="example: smartcity setup    (repeatable; what is there already is kept)",
    )


def say(line: str) -> None:
    """One write per line, since two threads talk."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(flags: argparse.Namespace) -> int:
    began = time.monotonic()
    find_mosquitto()
    java = find_java()
    layout = Layout(var=flags.var)

    def fetch(name: str) -> None:
        jars = expected(name)
        megabytes = sum(jar.size_bytes for jar in jars) / 1e6
        fetched = provide(name, layout.jars(name), java, say)
        if fetched:
            say(f"{name}: {len(jars)} jars, {megabytes:.0f} MB, checked")

    with ThreadPoolExecutor(max_workers=len(SETS)) as pool:
        for future in [pool.submit(fetch, name) for name in SETS]:
            future.result()
    provide_archive(layout.jars("spark"), java, say)
    print(f"set-up is complete ({time.monotonic() - began:.1f} s for jars and classes); next: make demo")
    return 0
