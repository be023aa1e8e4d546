"""The files of a recording: where the next begins, and what a mistake leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from smartcity.edge.capture import detect
from smartcity.edge.capture.detect import ReadOptions
from smartcity.edge.capture.errors import CaptureError
from smartcity.edge.capture.message import Findings, Message
from smartcity.edge.capture.record import Files, RecordOptions


def reading(i: int) -> Message:
    return Message(i, "devices/veh-001/gps", 1, False, b"", b"%d" % i)


def payloads(path: Path) -> list[bytes]:
    return [message.payload for message in detect.read(path, Findings(strict=True), ReadOptions())]


def test_a_name_that_an_older_recording_has_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "city-2.mcap").write_bytes(b"an older one")
    files = Files(RecordOptions(path=tmp_path / "city.mcap", filters=["devices/#"]))
    files.writer.write(reading(1))
    files.rotate()
    files.writer.write(reading(2))
    files.writer.close()
    assert payloads(tmp_path / "city.mcap") == [b"1"]
    assert payloads(tmp_path / "city-3.mcap") == [b"2"]
    assert (tmp_path / "city-2.mcap").read_bytes() == b"an older one"
    assert files.count == 2


def test_a_next_file_that_cannot_be_made_leaves_this_one_whole(tmp_path: Path) -> None:
    (tmp_path / "city-2.mcap").mkdir()
    files = Files(RecordOptions(path=tmp_path / "city.mcap", filters=["devices/#"], overwrite=True))
    files.writer.write(reading(1))
    with pytest.raises(CaptureError, match=r"city-2\.mcap"):
        files.rotate()
    files.writer.write(reading(2))
    files.writer.close()
    assert payloads(tmp_path / "city.mcap") == [b"1", b"2"]
