"""AWS's query protocol: form in, XML out. moto's reader and writer of it, over botocore's service models.

They were chosen over writing our own: both follow the model's shapes (flattened lists, wrappers, timestamps), and
botocore itself has the client's half only.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

import botocore.validate

from .errors import AwsError, not_served
from .moto_modules import moto_model, moto_module
from .protocol import Action

CONTENT_TYPE = "text/xml"


class QueryService:
    """One service and the actions that it serves. moto is imported at the first call: it takes a while."""

    def __init__(self, *, name: str, invalid_input: str, actions: Mapping[str, Action]) -> None:
        self.name = name
        self.invalid_input = invalid_input
        self.actions = dict(actions)

    def answer(self, form: Mapping[str, str]) -> tuple[int, bytes]:
        """Run the call of a form. Errors are answered, whatever they are; only AwsError is expected."""
        operation = form.get("Action", "")
        try:
            action = self.actions.get(operation)
            if action is None:
                raise not_served(self.name, operation)
            model = moto_model(self.name).operation_model(operation)
            return 200, _encode(model, action(self._request(model, form)))
        except AwsError as error:
            return error.status, error_body(error)

    def _request(self, model: Any, form: Mapping[str, str]) -> dict[str, Any]:
        try:
            request: dict[str, Any] = moto_module("moto.core.parse").QueryParser(model).parse({"values": form})
        except ValueError as error:
            raise AwsError(self.invalid_input, f"{model.name}: {error}") from None
        if model.input_shape is not None:
            report = botocore.validate.ParamValidator().validate(request, model.input_shape)
            if report.has_errors():
                raise AwsError(self.invalid_input, f"{model.name}: {report.generate_report()}")
        return request


def _encode(model: Any, result: dict[str, Any]) -> bytes:
    serialize = moto_module("moto.core.serialize")
    context = serialize.SerializationContext(request_id=str(uuid.uuid4()))
    body = serialize.QuerySerializer(model, context).serialize(result)["body"]
    return body if isinstance(body, bytes) else str(body).encode()


def error_body(error: AwsError) -> bytes:
    """The error as query clients read it."""
    kind = "Sender" if error.status < 500 else "Receiver"
    return (
        f"<ErrorResponse><Error><Type>{kind}</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    ).encode()
