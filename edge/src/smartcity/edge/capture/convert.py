"""A capture in another format: MCAP, JSON lines or CSV."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import CaptureError
from .formats import csv, jsonl
from .formats.mcap import McapWriter
from .message import Message

FORMATS = ("mcap", "jsonl", "csv")


@dataclass(slots=True, kw_only=True)
class Converted:
    messages: int = 0
    properties_lost: int = 0
    """Messages whose MQTT 5 properties the format has no place for."""


def format_for(path: Path, wanted: str | None) -> str:
    """What is asked for, else what the name's ending says.

    Raises:
        CaptureError: neither says it.
    """
    name = wanted or path.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        raise CaptureError(f"cannot tell the format of {path}: end its name with .mcap, .jsonl or .csv, or give --to")
    return name


def convert(messages: Iterator[Message], path: Path, name: str, *, overwrite: bool) -> Converted:
    """Write them all.

    Raises:
        CaptureError: the file is there already, or cannot be written.
    """
    done = Converted()
    try:
        with _writer(path, name, overwrite, done) as write:
            for message in messages:
                write(message)
                done.messages += 1
    except FileExistsError as error:
        raise CaptureError(f"{path} exists; choose another name, or give --force") from error
    except OSError as error:
        raise CaptureError(f"cannot write {path}: {error.strerror}") from error
    return done


@contextlib.contextmanager
def _writer(path: Path, name: str, overwrite: bool, done: Converted) -> Iterator[Callable[[Message], None]]:
    if name == "mcap":
        writer = McapWriter(path, overwrite=overwrite)
        try:
            yield writer.write
        finally:
            writer.close()
    elif name == "jsonl":
        with path.open("wb" if overwrite else "xb") as file:
            yield lambda message: jsonl.write(message, file)
    else:
        with path.open("w" if overwrite else "x", encoding="utf-8", newline="") as text:
            table = csv.CsvWriter(text)
            yield table.write
            done.properties_lost = table.properties_lost
