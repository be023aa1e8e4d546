"""A disk of its own for one folder, that can be filled at a stroke: a tmpfs whose size shrinks to what is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SIZE_BYTES = 4 * 1024**3
"""A limit, no reservation: a tmpfs takes the memory that its files need."""


class Disk:
    """Mounted from its making until `close`; what is in it goes with it. Linux, and root only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES},mode=0777", "chaos", str(folder))

    def fill(self) -> None:
        """From now on no block more can be written."""
        state = os.statvfs(self._folder)
        used = (state.f_blocks - state.f_bfree) * state.f_frsize
        self._resize(max(used, state.f_frsize))

    def free(self) -> None:
        self._resize(SIZE_BYTES)

    def close(self) -> None:
        # Lazily: a process that is just ending may still have a file open.
        _run("umount", "--lazy", str(self._folder))

    def _resize(self, size_bytes: int) -> None:
        _run("mount", "-o", f"remount,size={size_bytes}", str(self._folder))


def why_not() -> str | None:
    """Why disks cannot be made here; None where they can."""
    if sys.platform != "linux":
        return "a tmpfs of its own for each folder needs Linux"
    return None if os.geteuid() == 0 else "mounting a tmpfs needs root"


def unmount_all_under(folder: Path) -> None:
    """What a killed run left mounted."""
    if sys.platform == "linux":
        mounts = [Path(line.split()[1]) for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in mounts:
            if mount.is_relative_to(folder.resolve()):
                _run("umount", "--lazy", str(mount))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
