"""What a machine needs for the stack, checked one by one, each failure with its remedy.

Checks are pure over `Probes`, the functions that look at the machine; tests pass their own.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import psutil

from smartcity.contracts.identity import IdentityError
from smartcity.edge.check import Finding
from smartcity.edge.errors import EdgeError

from . import jars, process
from .errors import SetupError
from .layout import Layout
from .ports import holder, is_free
from .programs import Java, find_java, find_mosquitto
from .secure import check_gateway
from .services import CLUSTER_SERVICES, SERVICES

Level = Literal["ok", "warning", "failure"]
PYTHON_MIN = (3, 11)
DISK_BYTES_MIN = 4_000_000_000
"""Jars, Python packages, a demo's topics and tables, with room to spare."""
MEMORY_BYTES_MIN = 3_500_000_000
"""Spark's driver about 1.5 GB, Kafka 0.5, the rest 0.6."""
PACKAGES = ("paho-mqtt", "confluent-kafka", "pyspark", "boto3", "pyarrow", "duckdb", "ministack", "moto")
AWS_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One answer. `failure` keeps the stack from working; a `warning` does not."""

    name: str
    level: Level
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """How the doctor looks at the machine."""

    python_version: Callable[[], tuple[int, int]]
    package_missing: Callable[[str], bool]
    mosquitto: Callable[[], Path]
    java: Callable[[], Java]
    jars_wrong: Callable[[str], list[str]]
    port_holder: Callable[[int], str | None]
    """Who holds a port, or None where it is free or ours."""
    gateway: Callable[[], list[Finding]] | None
    """What the gateway's check finds, in a stack with identities; None in one without."""
    disk_free_bytes: Callable[[], int]
    memory_bytes: Callable[[], int]
    write: Callable[[], None]
    aws_identity: Callable[[], str]
    """The account's ARN; raises any exception where AWS cannot be reached with the credentials."""


def examine(probes: Probes, *, aws: bool) -> Iterator[Check]:
    """All checks in order. `aws`: whether the system is to run against a real account."""
    yield _python(probes.python_version())
    yield _packages([name for name in PACKAGES if probes.package_missing(name)])
    yield _program("mosquitto", lambda: str(probes.mosquitto()))
    yield _program("java", lambda: _describe(probes.java()))
    for name in jars.SETS:
        yield _jars(name, probes.jars_wrong(name))
    for service in SERVICES:
        for port in service.preferred_ports(secure=probes.gateway is not None).values():
            yield _port(service.name, port, probes.port_holder(port))
    if probes.gateway is not None:
        yield _gateway(probes.gateway)
    yield _amount("disk", probes.disk_free_bytes(), DISK_BYTES_MIN, "make room, or set SMARTCITY_VAR to a larger disk")
    yield _amount("memory", probes.memory_bytes(), MEMORY_BYTES_MIN, "close other programs, or use a larger machine")
    yield _folder(probes.write)
    yield _aws(probes.aws_identity) if aws else _ok("aws", "not asked for: the local endpoint is used (--aws checks)")


def _ok(name: str, detail: str) -> Check:
    return Check(name=name, level="ok", detail=detail)


def _fail(name: str, detail: str, remedy: str) -> Check:
    return Check(name=name, level="failure", detail=detail, remedy=remedy)


def _python(version: tuple[int, int]) -> Check:
    found = ".".join(map(str, version))
    if version >= PYTHON_MIN:
        return _ok("python", found)
    wanted = ".".join(map(str, PYTHON_MIN))
    return _fail("python", f"{found} is too old", f"install Python {wanted} or later, remove .venv, run: make setup")


def _packages(missing: list[str]) -> Check:
    if not missing:
        return _ok("packages", "installed")
    return _fail("packages", f"{', '.join(missing)} missing in {sys.prefix}", "run: make setup")


def _program(name: str, find: Callable[[], str]) -> Check:
    try:
        return _ok(name, find())
    except SetupError as error:
        detail, _, remedy = str(error).rpartition("; ")
        return _fail(name, detail, remedy)


def _describe(java: Java) -> str:
    return f"{java.program} (version {java.major})"


def _jars(name: str, wrong: list[str]) -> Check:
    if not wrong:
        return _ok(f"{name} jars", f"{len(jars.expected(name))} as expected")
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return _fail(f"{name} jars", wrong[0] + more, "run: smartcity setup")


def _port(service: str, port: int, held_by: str | None) -> Check:
    if held_by is None:
        return _ok(f"port {port}", f"free or ours ({service})")
    remedy = f"`smartcity up` takes the next free port; to have {port} itself, end {held_by} and run it again"
    return Check(name=f"port {port}", level="warning", detail=f"wanted by {service}, held by {held_by}", remedy=remedy)


def _gateway(check: Callable[[], list[Finding]]) -> Check:
    """Identities, ACL, revocation list, and the broker that runs with them."""
    remedy = "smartcity-edge check --gateway DIR says more; smartcity down, then up --secure, renews what has ended"
    try:
        findings = check()
    except (EdgeError, IdentityError) as error:
        return _fail("gateway", str(error), remedy)
    bad = [finding.text for finding in findings if finding.level == "bad"]
    if bad:
        return _fail("gateway", "; ".join(bad), remedy)
    notes = [finding.text for finding in findings if finding.level == "note"]
    if notes:
        return Check(name="gateway", level="warning", detail="; ".join(notes), remedy=remedy)
    return _ok("gateway", "identities, rights and revocation list are as they should be")


def _amount(name: str, found: int, wanted: int, remedy: str) -> Check:
    detail = f"{found / 1e9:.1f} GB free"
    if found >= wanted:
        return _ok(name, detail)
    return _fail(name, f"{detail}, {wanted / 1e9:.1f} GB are needed", remedy)


def _folder(write: Callable[[], None]) -> Check:
    try:
        write()
    except OSError as error:
        return _fail("var", f"cannot be written: {error}", "set SMARTCITY_VAR to a folder of yours")
    return _ok("var", "writable")


def _aws(identity: Callable[[], str]) -> Check:
    try:
        return _ok("aws", identity())
    except Exception as error:
        # botocore raises a wide tree; whatever it is, the credentials do not work.
        remedy = "set AWS_PROFILE (aws configure sso; aws sso login), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        return _fail("aws", f"no answer with these credentials: {error}", remedy)


def aws_wanted(environment: dict[str, str]) -> bool:
    """Whether the environment names credentials of a real account (and no local endpoint)."""
    named = environment.get("AWS_PROFILE") or environment.get("AWS_ACCESS_KEY_ID")
    return bool(named) and not environment.get("AWS_ENDPOINT_URL")


def real_probes(layout: Layout) -> Probes:
    """The machine itself."""
    return Probes(
        python_version=lambda: (sys.version_info.major, sys.version_info.minor),
        package_missing=_package_missing,
        mosquitto=find_mosquitto,
        java=find_java,
        jars_wrong=lambda name: jars.missing(layout.jars(name), jars.expected(name)),
        port_holder=lambda port: _foreign_holder(layout, port),
        gateway=(lambda: check_gateway(layout)) if layout.secure_mark.exists() else None,
        disk_free_bytes=lambda: shutil.disk_usage(_existing(layout.var)).free,
        memory_bytes=lambda: psutil.virtual_memory().available + _own_memory(layout),
        write=lambda: _try_writing(layout.var),
        aws_identity=_aws_identity,
    )


def _package_missing(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return True
    return False


def _records(layout: Layout) -> Iterator[process.Record]:
    for service in CLUSTER_SERVICES:
        record = process.read_record(layout.run, service.name)
        if record is not None and process.find(record) is not None:
            yield record


def _foreign_holder(layout: Layout, port: int) -> str | None:
    if is_free(port) or any(port in record.ports.values() for record in _records(layout)):
        return None
    return holder(port)


def _own_memory(layout: Layout) -> int:
    """What a running stack uses already must not count as missing."""
    found = (process.find(record) for record in _records(layout))
    return sum(process.resident_bytes(each) for each in found if each is not None)


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _try_writing(var: Path) -> None:
    var.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=var):
        pass


def _aws_identity() -> str:
    import boto3  # noqa: PLC0415 - half a second that only this check needs
    from botocore.config import Config  # noqa: PLC0415

    limits = Config(connect_timeout=AWS_TIMEOUT_S, read_timeout=AWS_TIMEOUT_S, retries={"total_max_attempts": 1})
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return str(boto3.client("sts", config=limits, region_name=region).get_caller_identity()["Arn"])
