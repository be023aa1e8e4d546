"""AWS's REST-JSON protocol: the call is found by method and path, as botocore's service model binds them.

moto's reader of requests is used; the answers of the services here have no headers of their own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import botocore.validate
from werkzeug.wrappers import Request

from .errors import AwsError, not_served
from .moto_modules import moto_model, moto_module
from .protocol import Action, Answer, encode


class RestJsonService:
    """One service and the actions that it serves. `invalid_input` is its code for a bad request."""

    def __init__(self, *, name: str, invalid_input: str, actions: Mapping[str, Action]) -> None:
        self.name = name
        self.invalid_input = invalid_input
        self.actions = dict(actions)

    def answer(self, request: Request) -> Answer:
        """Run the call of a request.

        Raises:
            AwsError: what is wrong with it, or that it is not served.
        """
        operation, labels = self._operation(request)
        action = self.actions.get(operation)
        if action is None:
            raise not_served(self.name, operation)
        model = moto_model(self.name).operation_model(operation)
        return 200, encode(action(self._parsed(model, request, labels)))

    def _operation(self, request: Request) -> tuple[str, dict[str, str]]:
        for method, pattern, operation in _routes(self.name):
            match = pattern.fullmatch(request.path) if method == request.method else None
            if match:
                return operation, match.groupdict()
        raise not_served(self.name, f"{request.method} {request.path}")

    def _parsed(self, model: Any, request: Request, labels: Mapping[str, str]) -> dict[str, Any]:
        try:
            parsed: dict[str, Any] = (
                moto_module("moto.core.parse")
                .RestJSONParser(model)
                .parse(
                    {
                        "body": request.get_data(),
                        "headers": request.headers,
                        "method": request.method,
                        "url_params": labels,
                        "url_path": request.path,
                        "values": request.args,
                    }
                )
            )
        except ValueError as error:
            raise AwsError(self.invalid_input, f"{model.name}: {error}") from None
        members = model.input_shape.members
        parsed = {  # moto reads a list that the query string lacks as an empty one.
            key: value
            for key, value in parsed.items()
            if value != [] or members[key].serialization.get("location") != "querystring"
        }
        report = botocore.validate.ParamValidator().validate(parsed, model.input_shape)
        if report.has_errors():
            raise AwsError(self.invalid_input, f"{model.name}: {report.generate_report()}")
        return parsed


@functools.cache
def _routes(service: str) -> list[tuple[str, re.Pattern[str], str]]:
    """Method, path with the labels as groups, and operation; literal paths before those with labels."""
    found = []
    model = moto_model(service)
    for name in model.operation_names:
        http = model.operation_model(name).http
        path = http["requestUri"].partition("?")[0]
        pattern = re.sub(r"\\\{(\w+)(\\\+)?\\\}", _group, re.escape(path))
        found.append((path.count("{"), http["method"], re.compile(pattern), name))
    return [(method, pattern, name) for _, method, pattern, name in sorted(found, key=lambda each: each[0])]


def _group(match: re.Match[str]) -> str:
    return f"(?P<{match[1]}>.+)" if match[2] else f"(?P<{match[1]}>[^/]+)"
