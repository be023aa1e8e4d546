"""The template as it is sent to CloudFormation."""

from __future__ import annotations

from importlib import resources

TEMPLATE_FILE = "smartcity.yaml"
BODY_BYTES_MAX = 51_200
"""CloudFormation takes no longer `TemplateBody`; longer ones must lie in a bucket."""


def template_text() -> str:
    """The template, as YAML."""
    return resources.files(__package__).joinpath(TEMPLATE_FILE).read_text(encoding="utf-8")
