"""What a process has used."""

from __future__ import annotations

import time

import psutil


def cpu_s(process: psutil.Process) -> float:
    """User plus system time of a process and all its threads."""
    times = process.cpu_times()
    return float(times.user + times.system)


def main_thread_s(process: psutil.Process) -> float:
    """Of our bridge: Python and what it calls. Other threads are librdkafka's; the paho-loop bridge has its own."""
    return sum(float(one.user_time + one.system_time) for one in process.threads() if one.id == process.pid)


def settle(process: psutil.Process) -> None:
    """Wait until the process does nothing but idle: under 2 % of a core for half a second."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        before = cpu_s(process)
        time.sleep(0.5)
        if cpu_s(process) - before <= 0.011:
            return
