"""What a resource type is to the stack's work: it makes, changes and removes one resource through boto3.

A type names the properties that it serves and those whose change needs a new resource. Nested properties are fitted to
the call's shape in botocore's model: a name that the call lacks is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import botocore
import botocore.exceptions

from .intrinsics import Unknown

Clients = Callable[[str], Any]
"""A boto3 client of a service's name."""

_NUMBERS = ("integer", "long")
_FRACTIONS = ("float", "double")


class PropertyError(Exception):
    """A property that cannot be had; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A resource to make or change. `name` is what it is called where the template names none, `token` makes a repeated
    creation one.
    """

    properties: Mapping[str, Any]
    name: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A resource that is there. `attributes` are what GetAtt gives, by their documented names; `unserved`, what the
    service would not take and is only recorded, as its event says.
    """

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    unserved: str = ""


class Kind:
    """A resource type. Errors are botocore's, or PropertyError."""

    name: ClassVar[str]
    properties: ClassVar[frozenset[str]]
    required: ClassVar[frozenset[str]] = frozenset()
    create_only: ClassVar[frozenset[str]] = frozenset()
    importable: ClassVar[bool] = False
    in_memory: ClassVar[bool] = False
    """Whether what is made is forgotten at the end of this process."""

    recorded: ClassVar[str] = ""
    """What is only recorded of it here; said in the events."""

    service: ClassVar[str]
    absent: ClassVar[tuple[str, ...]]
    """Codes with which the service says that something is not there."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def identity(self, wanted: Wanted) -> str:
        """The physical id that it will have; empty where the service chooses it."""
        raise NotImplementedError

    def exists(self, physical_id: str) -> bool:
        """Whether there is one of this id, whoever made it."""
        raise NotImplementedError

    def create(self, wanted: Wanted) -> Made:
        """Make it."""
        raise NotImplementedError

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        """Change it; `before` are the properties that it has."""
        raise NotImplementedError

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        """Remove it; one that is not there is removed."""
        raise NotImplementedError

    def found(self, physical_id: str) -> Made:
        """One that is there, as an import takes it over."""
        raise PropertyError(f"{self.name} cannot be imported by the local AWS endpoint")

    @property
    def client(self) -> Any:
        """The service's boto3 client."""
        return self._clients(self.service)

    def call(self, operation: str, given: Mapping[str, Any]) -> Any:
        """Make one call with what is given fitted to it."""
        return getattr(self.client, botocore.xform_name(operation))(**fitted(self.client, operation, given))

    def is_there(self, operation: str, given: Mapping[str, Any]) -> bool:
        """Whether a describing call finds something."""
        try:
            self.call(operation, given)
        except botocore.exceptions.ClientError as error:
            if code_of(error) in self.absent:
                return False
            raise
        return True

    def remove(self, operation: str, given: Mapping[str, Any]) -> None:
        """A deleting call, for which what is not there is deleted."""
        try:
            self.call(operation, given)
        except botocore.exceptions.ClientError as error:
            if code_of(error) not in self.absent:
                raise


def check(kind: Kind, properties: Mapping[str, Any]) -> None:
    """Refuse properties that are not served, and the lack of what must be there.

    Raises:
        PropertyError: naming it.
    """
    missing = sorted(kind.required - properties.keys())
    if missing:
        raise PropertyError(f"Model validation failed (#: required key [{missing[0]}] not found)")
    for name in properties:
        if name not in kind.properties:
            raise PropertyError(f"Encountered unsupported property {name}: it is not served by the local AWS endpoint")


def code_of(error: botocore.exceptions.ClientError) -> str:
    """The code of a botocore ClientError."""
    return str(error.response.get("Error", {}).get("Code", ""))


def fitted(client: Any, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for a call: names as the call spells them (`BaseCapacity` is `baseCapacity`), scalars of its types.

    Raises:
        PropertyError: a name or a value that the call does not take.
    """
    shape = client.meta.service_model.operation_model(operation).input_shape
    result: dict[str, Any] = _fit(given, shape, "")
    return result


def _fit(value: Any, shape: Any, path: str) -> Any:
    kind = shape.type_name
    if kind == "structure":
        return _fit_structure(value, shape, path)
    if kind == "list" and isinstance(value, list):
        return [_fit(each, shape.member, f"{path}/{number}") for number, each in enumerate(value)]
    if kind == "map" and isinstance(value, dict):
        return {str(key): _fit(each, shape.value, f"{path}/{key}") for key, each in value.items()}
    if isinstance(value, dict | list):
        raise PropertyError(f"#{path}: expected type: {kind}, found: {type(value).__name__}")
    return _fit_scalar(value, kind, path)


def _fit_structure(value: Any, shape: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PropertyError(f"#{path}: expected type: object, found: {type(value).__name__}")
    spelled = {name.lower(): name for name in shape.members}
    result = {}
    for key, each in value.items():
        name = key if key in shape.members else spelled.get(str(key).lower())
        if name is None:
            raise PropertyError(f"#{path}: extraneous key [{key}] is not permitted")
        result[name] = _fit(each, shape.members[name], f"{path}/{key}")
    return result


def _fit_scalar(value: Any, kind: str, path: str) -> Any:
    try:
        if kind in _NUMBERS and not isinstance(value, bool):
            return int(value)
        if kind in _FRACTIONS and not isinstance(value, bool):
            return float(value)
    except ValueError:
        raise PropertyError(f"#{path}: expected type: Number, found: {value!r}") from None
    if kind == "boolean" and str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    if kind == "string":
        return str(value).lower() if isinstance(value, bool) else str(value)
    raise PropertyError(f"#{path}: expected type: {kind}, found: {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What an update does to a resource. `replacement`: True, False, or Conditional where it is not known before."""

    names: tuple[str, ...]
    replacement: str
    recreating: frozenset[str]


def difference(kind: Kind, before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference:
    """Compare resolved properties."""
    names = tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))
    recreating = kind.create_only & set(names)
    known = [name for name in recreating if not has_unknown(after.get(name))]
    replacement = "True" if known else "Conditional" if recreating else "False"
    return Difference(names=names, replacement=replacement, recreating=frozenset(recreating))


def has_unknown(value: Any) -> bool:
    """Whether a part of the value is known only later."""
    if isinstance(value, dict):
        return any(has_unknown(each) for each in value.values())
    if isinstance(value, list):
        return any(has_unknown(each) for each in value)
    return isinstance(value, Unknown)
