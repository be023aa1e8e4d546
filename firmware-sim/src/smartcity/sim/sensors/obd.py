"""A vehicle's OBD-II port as an ELM327 prints it: SAE J1979 mode 01 responses, mode 03 last.

Echo off, headers and spaces on, ISO 15765-4 CAN with 11 bit identifiers: `7E8 04 41 0C 1A F8 \\r\\r>` per answer.
"""

from __future__ import annotations

from dataclasses import dataclass

_HEX = tuple(f"{i:02X}" for i in range(256))
_SYSTEMS = "PCBU"


@dataclass(slots=True, kw_only=True)
class Engine:
    """What the engine's control unit knows. Units as in SAE J1979; fields are clipped to what their bytes can say."""

    load_percent: float
    coolant_c: float
    rpm: float
    speed_kmh: float
    intake_c: float
    maf_g_s: float
    throttle_percent: float
    run_time_s: int
    fuel_percent: float
    trouble_codes: tuple[str, ...]
    """At most two, so that mode 03 fits one CAN frame."""


def poll(engine: Engine) -> bytes:
    """One poll: PIDs 04 05 0C 0D 0F 10 11 1F 2F, then mode 03."""
    rpm = _word(engine.rpm * 4)
    maf = _word(engine.maf_g_s * 100)
    run = _word(engine.run_time_s)
    return (
        f"7E8 03 41 04 {_percent(engine.load_percent)} \r\r>"
        f"7E8 03 41 05 {_byte(engine.coolant_c + 40)} \r\r>"
        f"7E8 04 41 0C {rpm} \r\r>"
        f"7E8 03 41 0D {_byte(engine.speed_kmh)} \r\r>"
        f"7E8 03 41 0F {_byte(engine.intake_c + 40)} \r\r>"
        f"7E8 04 41 10 {maf} \r\r>"
        f"7E8 03 41 11 {_percent(engine.throttle_percent)} \r\r>"
        f"7E8 04 41 1F {run} \r\r>"
        f"7E8 03 41 2F {_percent(engine.fuel_percent)} \r\r>"
        f"{_codes(engine.trouble_codes)} \r\r>"
    ).encode("ascii")


def _byte(value: float) -> str:
    rounded = round(value)
    return _HEX[0 if rounded < 0 else 255 if rounded > 255 else rounded]


def _percent(value: float) -> str:
    return _byte(value * 2.55)


def _word(value: float) -> str:
    clipped = min(max(round(value), 0), 0xFFFF)
    return f"{_HEX[clipped >> 8]} {_HEX[clipped & 255]}"


def _codes(codes: tuple[str, ...]) -> str:
    """`P0301` is 03 01: two bits for the system (P C B U), then four digits, the first of two bits."""
    data = [0x43, len(codes)]
    for code in codes:
        number = _SYSTEMS.index(code[0]) << 14 | int(code[1:], 16)
        data += [number >> 8, number & 255]
    return " ".join(["7E8", _HEX[len(data)], *(_HEX[byte] for byte in data)])
