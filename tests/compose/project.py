"""A compose project of a test's own: docker-compose.yml as it is, on free ports, and what the tests do to it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from smartcity.local.ports import choose

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.yml", ".ci/compose.yml")
PROFILES = ("sim", "tools", "zookeeper", "observability")
COMMAND_TIMEOUT_S = 600
UP_TIMEOUT_S = 600
BUILD_TIMEOUT_S = 3600
PORTS_FROM = 21_000
PORTS = sorted(set(re.findall(r"SMARTCITY_[A-Z0-9_]+_PORT", (ROOT / "docker-compose.yml").read_text())))
"""The settings that publish a port."""
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One project. `settings` are given to docker compose, and nothing of the caller's environment that is ours."""

    name: str
    settings: Mapping[str, str]
    profiles: tuple[str, ...] = ()

    def compose(
        self, *arguments: str, check: bool = True, timeout_s: float = COMMAND_TIMEOUT_S, profiles: Iterable[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """`docker compose …` of this project.

        Raises:
            AssertionError: it failed, and `check`; with what it printed.
        """
        command = [docker(), "compose", "--env-file", "/dev/null", "--project-name", self.name]
        command += [f"--file={name}" for name in FILES]
        command += [f"--profile={name}" for name in (*self.profiles, *profiles)]
        done = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            cwd=ROOT,
            env={**without_ours(os.environ), **self.settings},
        )
        assert not check or done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-3000:]}\n{done.stdout[-2000:]}"
        return done

    def up(self, *services: str, profiles: Iterable[str] = ()) -> float:
        """`up --wait`; returns the seconds it took."""
        begun = time.monotonic()
        command = ("up", "--wait", "--no-build", *services)
        done = self.compose(*command, check=False, timeout_s=UP_TIMEOUT_S, profiles=profiles)
        assert done.returncode == 0, f"up: {done.stderr[-3000:]}\n{self.complaints()}"
        return time.monotonic() - begun

    def down(self, *, volumes: bool = False) -> None:
        """Everything of the project away, with its volumes only where that is said."""
        self.compose("down", "--timeout", "40", *(("--volumes",) if volumes else ()), profiles=PROFILES)

    def states(self) -> dict[str, dict[str, Any]]:
        """What `docker inspect` says of each service's container, ended ones too."""
        ids = self.compose("ps", "--all", "--quiet", profiles=PROFILES).stdout.split()
        if not ids:
            return {}
        found = json.loads(run("inspect", *ids))
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def health(self) -> dict[str, str]:
        """`healthy`, `unhealthy` or `starting` of each service that is asked for it."""
        return {
            name: each["State"]["Health"]["Status"] for name, each in self.states().items() if "Health" in each["State"]
        }

    def complaints(self) -> str:
        """Of each service that is not well: the last answer of its check, and the end of its log."""
        texts = []
        for name, each in self.states().items():
            health = each["State"].get("Health", {})
            well = health.get("Status", "healthy") == "healthy" and each["State"]["ExitCode"] == 0
            if not well:
                answers = [entry["Output"].strip() for entry in health.get("Log", ())][-1:]
                log = self.compose("logs", "--no-log-prefix", "--tail", "25", name, check=False, profiles=PROFILES)
                texts.append(f"--- {name}: {each['State']['Status']}, {answers}\n{log.stdout}{log.stderr}")
        return "\n".join(texts)

    def signal(self, name: str, *services: str) -> None:
        """A signal to process 1 of each service."""
        self.compose("kill", "--signal", name, *services, profiles=PROFILES)

    def endpoints(self) -> dict[str, str]:
        """The environment in which this machine's boto3 reaches the project's S3 and local AWS."""
        return {
            **SERVICES["tools"]["environment"],
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.settings['SMARTCITY_AWS_PORT']}",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.settings['SMARTCITY_S3_PORT']}",
        }


def project(name: str, *profiles: str, **settings: str) -> Project:
    """A project on ports that are free, so that it runs beside a stack on the usual ones."""
    ports: dict[str, int] = {}
    for setting in PORTS:
        ports[setting] = choose(PORTS_FROM, ports.values())
    return Project(
        name=name, settings={**{key: str(port) for key, port in ports.items()}, **settings}, profiles=profiles
    )


def build() -> None:
    """Our images; those that are up to date take no time."""
    project("smartcity-test").compose("build", profiles=("sim", "tools"), timeout_s=BUILD_TIMEOUT_S)


def engine_complaint() -> str:
    """Why nothing can be brought up here; empty where it can."""
    for arguments in (("info",), ("compose", "version")):
        try:
            run(*arguments)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            return f"docker {' '.join(arguments)}: {getattr(error, 'stderr', '') or error}".strip()
    return ""


def docker() -> str:
    """The command's path."""
    found = shutil.which("docker")
    assert found, "docker is not installed here"
    return found


def run(*arguments: str) -> str:
    """`docker …`; what it printed."""
    return subprocess.run([docker(), *arguments], capture_output=True, text=True, check=True, timeout=120).stdout


def without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without settings that docker-compose.yml reads."""
    return {
        name: value for name, value in environment.items() if not name.startswith(("AWS_", "SMARTCITY_", "COMPOSE_"))
    }


if __name__ == "__main__":
    build()
