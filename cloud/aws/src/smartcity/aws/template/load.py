"""Reads a template's YAML, its intrinsic functions in their long form: `!Ref X` as `{"Ref": "X"}`. For checks and
for the local CloudFormation; what runs against AWS needs none of it. PyYAML comes with the extra `check`.
"""

from __future__ import annotations

from typing import Any

import yaml

_PLAIN = ("Ref", "Condition")
# LibYAML's, where PyYAML was built with it: the template is long.
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Loader: Any = type("_Loader", (_Safe,), {"__doc__": "SafeLoader, and CloudFormation's tags."})


def _intrinsic(loader: Any, tag: str, node: Any) -> dict[str, Any]:
    name = tag if tag in _PLAIN else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".", 1) if tag == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _intrinsic)


def load_template(text: str) -> dict[str, Any]:
    """The template as nested dictionaries."""
    template: dict[str, Any] = yaml.load(text, Loader=_Loader)
    return template
