"""What devices rely on: no dependency, and the package is whole. And: committed renderings are current."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from smartcity.contracts.render.__main__ import differences, main
from smartcity.contracts.render.files import FOLDER, rendered_files

MEMBER = Path(__file__).parents[1]

_IMPORT_ALL = """
import pkgutil, sys
sys.path.insert(0, sys.argv[1])
import smartcity.contracts as package
for module in pkgutil.walk_packages(package.__path__, "smartcity.contracts."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
from smartcity.contracts.routes import ROUTE_NAMES, route
assert all(route(name).length_km > 1 for name in ROUTE_NAMES)
roots = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(*sorted(roots - {"__main__", "smartcity"}))
"""


def test_imports_only_the_standard_library() -> None:
    # -I and -S leave neither site-packages nor the environment: what is missing then fails to import.
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _IMPORT_ALL, str(MEMBER / "src")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []


def test_declares_no_dependency() -> None:
    assert tomllib.loads((MEMBER / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"] == []


def test_committed_renderings_are_current() -> None:
    assert differences(MEMBER.parent, rendered_files()) == []


def test_check_names_what_is_missing_changed_or_strange(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "pyproject.toml").touch()
    root = ["--root", str(tmp_path)]
    assert main(["--check", *root]) == 1
    assert "docs/fields.md: missing" in capsys.readouterr().err
    assert main(["--write", *root]) == 0
    assert main(["--check", *root]) == 0
    capsys.readouterr()
    (tmp_path / FOLDER / "glue.json").write_text("{}")
    (tmp_path / FOLDER / "old.json").touch()
    assert main(["--check", *root]) == 1
    error = capsys.readouterr().err
    assert f"{FOLDER}/glue.json: differs" in error
    assert f"{FOLDER}/old.json: nothing renders it" in error
    assert main(["--write", *root]) == 0
    assert not (tmp_path / FOLDER / "old.json").exists()


def test_a_folder_that_is_not_the_repository_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--root", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_files_are_named_once_and_end_in_a_line_feed() -> None:
    files = rendered_files()
    assert PurePosixPath("docs/fields.md") in files
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in files.values())
