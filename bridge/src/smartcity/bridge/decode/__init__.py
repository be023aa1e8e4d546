"""From a native payload to a reading of the contract. Pure: bytes and envelope in, value or `Reject` out."""

from .reading import decode_reading

__all__ = ["decode_reading"]
