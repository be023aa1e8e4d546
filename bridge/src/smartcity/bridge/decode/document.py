"""JSON documents: weather and emergency reports, and the user property `metadata`."""

from __future__ import annotations

from typing import Any

import msgspec

from smartcity.contracts.reasons import Reason

from ..errors import Reject

_DECODER = msgspec.json.Decoder(dict[str, Any])


def decode_document(payload: bytes) -> dict[str, Any]:
    """The members of a JSON object.

    Raises:
        Reject: it is not one (`payload_undecodable`).
    """
    try:
        return parse_object(payload)
    except ValueError as error:
        raise Reject(Reason.PAYLOAD_UNDECODABLE, str(error)) from error


def parse_object(payload: bytes) -> dict[str, Any]:
    """The members of a JSON object (RFC 8259: UTF-8, no NaN).

    Raises:
        ValueError: it is not one.
    """
    try:
        return _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a JSON object: {error}") from error
