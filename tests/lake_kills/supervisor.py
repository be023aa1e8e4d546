"""`smartcity-lake run` with the trapped driver: python -m tests.lake_kills.supervisor --kafka …

The supervisor is the product's. It loses no time between drivers, and none on a stopped one that was asked to end.
"""

from __future__ import annotations

import logging
import signal
import sys

from smartcity.lake import supervise

BACK_OFF_S = 0.5
STOP_TIMEOUT_S = 3.0


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    supervise.BACK_OFF_MAX_S, supervise.STOP_TIMEOUT_S = BACK_OFF_S, STOP_TIMEOUT_S
    command = [sys.executable, "-m", "tests.lake_kills.driver", "drive", *sys.argv[1:], "--supervised"]
    supervisor = supervise.Supervisor(command, back_off_first_s=BACK_OFF_S)
    signal.signal(signal.SIGTERM, lambda *_: supervisor.stop())
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
