"""The template as it is sent to CloudFormation: one, of two files.

`smartcity.yaml` is written by hand, but for its rendered parts. QuickSight's resources are rendered whole, and twice as
long: they lie beside it in `dashboard.yaml`, and take the place of a marker.
"""

from __future__ import annotations

import re
from importlib import resources

TEMPLATE_FILE = "smartcity.yaml"
DASHBOARD_FILE = "dashboard.yaml"
MARKER = f"  # {DASHBOARD_FILE} stands here\n"
TEMPLATE_BYTES_MAX = 1_000_000
"""CloudFormation takes no longer one from a bucket, and none above 51,200 bytes without a bucket."""


def template_text() -> str:
    """The whole template, as YAML."""
    return template_source().replace(MARKER, dashboard_source())


def template_source() -> str:
    """The part that is written by hand."""
    return resources.files(__package__).joinpath(TEMPLATE_FILE).read_text(encoding="utf-8")


def dashboard_source() -> str:
    """QuickSight's resources."""
    return resources.files(__package__).joinpath(DASHBOARD_FILE).read_text(encoding="utf-8")


def template_parameters() -> dict[str, str | None]:
    """The template's parameters with their defaults; None is required."""
    section = template_source().split("\nParameters:\n")[1].split("\nConditions:\n")[0]
    blocks = re.findall(r"^  (\w+):\n((?:    .*\n?)+)", section, re.MULTILINE)
    found: dict[str, str | None] = {}
    for name, block in blocks:
        default = re.search(r"^    Default: (.*)$", block, re.MULTILINE)
        found[name] = default[1].strip('"') if default else None
    return found
