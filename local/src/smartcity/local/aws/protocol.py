"""AWS's JSON 1.1 protocol: requests checked against botocore's service models, answers and errors encoded."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import botocore
import botocore.loaders
import botocore.model
import botocore.validate

from .errors import AwsError, not_served

Action = Callable[[dict[str, Any]], dict[str, Any]]
Answer = tuple[int, bytes]


@functools.cache
def service_model(service: str) -> Any:
    """botocore's model of a service, as its clients use it."""
    loader = botocore.loaders.Loader()
    return botocore.model.ServiceModel(loader.load_service_model(service, "service-2"), service_name=service)


def actions_of(served_by: object, names: Iterable[str]) -> dict[str, Action]:
    """AWS's name of each action, and the method that serves it: `GetTable` is `get_table`."""
    return {name: getattr(served_by, botocore.xform_name(name)) for name in names}


class JsonService:
    """One service: its target prefix, and the actions that it serves. `invalid_input` is its code for a bad request."""

    def __init__(self, *, name: str, invalid_input: str, actions: Mapping[str, Action]) -> None:
        self.name = name
        self.invalid_input = invalid_input
        self.actions = dict(actions)
        self.model = service_model(name)
        unknown = set(self.actions) - set(self.model.operation_names)
        if unknown:
            raise ValueError(f"{name} has no operations {sorted(unknown)}")

    def answer(self, operation: str, body: bytes) -> Answer:
        """Run one call. Errors are answered, whatever they are; only AwsError is expected."""
        try:
            action = self.actions.get(operation)
            if action is None:
                raise not_served(self.name, operation)
            return 200, encode(action(self._request(operation, body)))
        except AwsError as error:
            return error_answer(error)

    def _request(self, operation: str, body: bytes) -> dict[str, Any]:
        try:
            request = json.loads(body or b"{}")
        except ValueError as error:
            raise AwsError("SerializationException", f"the request is not JSON: {error}") from None
        if not isinstance(request, dict):
            raise AwsError("SerializationException", "the request is not a JSON object")
        # Java's SDK and others send null for what is absent.
        request = {key: value for key, value in request.items() if value is not None}
        shape = self.model.operation_model(operation).input_shape
        report = botocore.validate.ParamValidator().validate(request, shape)
        if report.has_errors():
            raise AwsError(self.invalid_input, f"{operation}: {report.generate_report()}")
        return request


def error_answer(error: AwsError) -> Answer:
    """The error as both spellings of JSON 1.1 clients read it."""
    return error.status, encode({"__type": error.code, "message": error.message, "Message": error.message})


def encode(value: dict[str, Any]) -> bytes:
    """A JSON answer; times are seconds since 1970."""
    return json.dumps(value, default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON 1.1")


def page(items: list[Any], request: Mapping[str, Any], *, at_most: int) -> tuple[list[Any], str | None]:
    """The page of `items` that NextToken and MaxResults ask for, and the token of the next one.

    The token is the offset: what is listed is ordered by name, so pages neither repeat nor skip what stays.
    """
    token = request.get("NextToken") or "0"
    if not token.isdigit():
        raise AwsError("InvalidInputException", f"NextToken {token!r} was not given by this endpoint")
    start, size = int(token), min(int(request.get("MaxResults") or at_most), at_most)
    rest = start + size < len(items)
    return items[start : start + size], str(start + size) if rest else None
