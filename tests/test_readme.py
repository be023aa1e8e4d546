"""What README tells people to type exists."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from smartcity.local.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = "\n".join([*re.findall(r"`([^`\n]+)`", README), *re.findall(r"^ {4}(.+)$", README, flags=re.MULTILINE)])
MEMBERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
SCRIPTS = {
    name
    for member in MEMBERS
    for name in tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"].get("scripts", {})
}


def test_readme_names_the_two_commands() -> None:
    assert {"demo", "test"} <= set(_targets())


@pytest.mark.parametrize("target", sorted({"demo", "test", *re.findall(r"\bmake ([a-z][a-z-]*)", CODE)}))
def test_make_targets_exist(target: str) -> None:
    assert target in _targets()


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\bsmartcity ([a-z]+)", CODE))))
def test_smartcity_commands_exist(command: str) -> None:
    assert command in COMMANDS
    done = _help("smartcity", command)
    assert done.returncode == 0, done.stderr
    assert "usage: smartcity" in done.stdout


@pytest.mark.parametrize("script", sorted(set(re.findall(r"\b(smartcity-[a-z]+)\b", CODE))))
def test_scripts_exist(script: str) -> None:
    assert script in SCRIPTS
    done = _help(script)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", sorted(set(re.findall(r"\bsmartcity(?:-[a-z]+)? [a-z]+ [^\n]*--[a-z][^\n]*", CODE))))
def test_flags_exist(line: str) -> None:
    words = line.partition("#")[0].split()
    known = _help(words[0], words[1]).stdout
    for flag in re.findall(r"--[a-z-]+", " ".join(words)):
        assert flag in known, f"{words[0]} {words[1]} has no {flag}"


def test_linked_files_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert missing == []


def _targets() -> list[str]:
    return re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def _help(script: str, *command: str) -> subprocess.CompletedProcess[str]:
    path = Path(sys.executable).with_name(script)
    return subprocess.run([path, *command, "--help"], capture_output=True, text=True, timeout=60, check=False)
