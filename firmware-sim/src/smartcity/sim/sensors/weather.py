"""A weather station's report: JSON with the fields of the contract, complete in itself."""

from __future__ import annotations

import json
from typing import Any


def report(values: dict[str, Any], *, device_id: str, timestamp: str) -> bytes:
    """The report as compact JSON with sorted keys. `timestamp` is RFC 3339."""
    document = {**values, "device_id": device_id, "timestamp": timestamp}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
