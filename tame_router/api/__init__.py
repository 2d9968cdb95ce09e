"""The edge: bytes in, bytes out, no decisions."""
