"""The driver for `spark-submit`: `spark-submit … lake_driver.py --kafka HOST:PORT --bucket NAME` (docs/cluster.md).

It stands outside the package, because spark-submit puts this file's folder in front of Python's path.
"""

import sys

from smartcity.lake.main import main

sys.exit(main(["drive", "--master", "submitted", *sys.argv[1:]]))
