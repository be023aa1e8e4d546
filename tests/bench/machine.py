"""Where a benchmark ran."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Platform, processor, cores, and how loaded it is now."""
    return {
        "platform": platform.platform(), "processor": processor(), "cores": os.cpu_count(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }  # fmt: skip


def processor() -> str:
    """The processor's name, where the platform tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
