"""Writes a template's values as YAML: what fits in a line stands in one (flow style), the rest in blocks. Intrinsic
functions get their short form. PyYAML would need a class for each tag, and cannot decide by a line's length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LINE_CHARACTERS_MAX = 118
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_. /-]*[A-Za-z0-9_]|[A-Za-z_]|AWS(::[A-Za-z]+)+")
_NOT_STRINGS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
_TAGS = {"Ref": "!Ref", "Fn::Sub": "!Sub"}


def yaml_lines(value: Mapping[str, Any], indent: int) -> list[str]:
    """Lines of a mapping, indented by so many spaces."""
    return [line for name, each in value.items() for line in _entry(f"{_scalar(name)}:", each, indent)]


def _entry(head: str, value: Any, indent: int) -> list[str]:
    space = " " * indent
    text = value.get("Fn::Sub") if isinstance(value, dict) and set(value) == {"Fn::Sub"} else value
    if isinstance(text, str) and "\n" in text:
        tag = "" if text is value else "!Sub "
        return [f"{space}{head} {tag}|-", *(f"{space}  {line}" if line else "" for line in text.splitlines())]
    line = f"{space}{head} {_flow(value)}"
    if len(line) <= LINE_CHARACTERS_MAX or not isinstance(value, dict | list) or _tagged(value):
        return [line]
    if isinstance(value, dict):
        return [f"{space}{head}", *yaml_lines(value, indent + 2)]
    return [f"{space}{head}", *(one for each in value for one in _item(each, indent + 2))]


def _item(value: Any, indent: int) -> list[str]:
    line = f"{' ' * indent}- {_flow(value)}"
    if len(line) <= LINE_CHARACTERS_MAX or not isinstance(value, dict) or _tagged(value):
        return [line]
    first, *others = yaml_lines(value, indent + 2)
    return [f"{' ' * indent}- {first.lstrip()}", *others]


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        if _tagged(value):
            return _tagged(value)
        return "{" + ", ".join(f"{_scalar(name)}: {_flow(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(each) for each in value) + "]"
    return _scalar(value)


def _tagged(value: Any) -> str:
    """The short form of an intrinsic function; empty for anything else."""
    if not isinstance(value, dict) or len(value) != 1:
        return ""
    ((name, inner),) = value.items()
    if name in _TAGS:
        return f"{_TAGS[name]} {_scalar(inner)}"
    return f"!GetAtt {'.'.join(inner)}" if name == "Fn::GetAtt" else ""


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_STRINGS:
        return value
    return json.dumps(value, ensure_ascii=False)
