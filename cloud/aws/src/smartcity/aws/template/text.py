"""The template as it is sent to CloudFormation."""

from __future__ import annotations

import re
from importlib import resources

TEMPLATE_FILE = "smartcity.yaml"
BODY_BYTES_MAX = 51_200
"""CloudFormation takes no longer `TemplateBody`; longer ones must lie in a bucket."""


def template_text() -> str:
    """The template, as YAML."""
    return resources.files(__package__).joinpath(TEMPLATE_FILE).read_text(encoding="utf-8")


def template_parameters() -> dict[str, str | None]:
    """The template's parameters with their defaults; None is required."""
    section = template_text().split("\nParameters:\n")[1].split("\nConditions:\n")[0]
    blocks = re.findall(r"^  (\w+):\n((?:    .*\n?)+)", section, re.MULTILINE)
    found: dict[str, str | None] = {}
    for name, block in blocks:
        default = re.search(r"^    Default: (.*)$", block, re.MULTILINE)
        found[name] = default[1].strip('"') if default else None
    return found
