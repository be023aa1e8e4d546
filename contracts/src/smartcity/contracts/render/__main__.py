"""Writes the rendered files, or checks that the committed ones are what the contract renders to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from .files import FOLDER, rendered_files


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when all is as rendered, 1 where `--check` found a difference, 2 where the root is no repository."""
    options = _parser().parse_args(arguments)
    root: Path = options.root
    if not (root / "contracts" / "pyproject.toml").is_file():
        print(f"{root.resolve()} is not the repository: start there, or name it with --root", file=sys.stderr)
        return 2
    files = rendered_files()
    if options.write:
        return _write(root, files)
    differing = differences(root, files)
    for line in differing:
        print(line, file=sys.stderr)
    if differing:
        print("run `python -m smartcity.contracts.render --write` and commit what changed", file=sys.stderr)
    return 1 if differing else 0


def differences(root: Path, files: Mapping[PurePosixPath, str]) -> list[str]:
    """What is missing, differs, or lies in the rendered folder without being rendered; one line each."""
    found = []
    for path, text in files.items():
        target = root / path
        if not target.is_file():
            found.append(f"{path}: missing")
        elif target.read_text(encoding="utf-8") != text:
            found.append(f"{path}: differs from the contract")
    return found + [f"{path}: nothing renders it" for path in _strangers(root, files)]


def _write(root: Path, files: Mapping[PurePosixPath, str]) -> int:
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for path in _strangers(root, files):
        (root / path).unlink()
    print(f"{len(files)} files written")
    return 0


def _strangers(root: Path, files: Mapping[PurePosixPath, str]) -> list[PurePosixPath]:
    present = (path for path in (root / FOLDER).rglob("*") if path.is_file())
    return sorted({PurePosixPath(path.relative_to(root).as_posix()) for path in present} - set(files))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m smartcity.contracts.render",
        description="Render the contract into contracts/rendered/ and docs/fields.md.",
        epilog="example: python -m smartcity.contracts.render --check",
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="change nothing; exit 1 where a file differs")
    mode.add_argument("--write", action="store_true", help="write the files, and remove stale ones")
    parser.add_argument("--root", type=Path, default=Path(), help="the repository (default: the working directory)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
