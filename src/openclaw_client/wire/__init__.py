"""Bytes to typed values and back (msgspec).

Knows the shape of every frame and payload the client looks into, the protocol's codes and limits, and how session keys
compare. Refuses to know the time, the socket, and what a frame means for anybody.

Inbound types are lenient: every field is optional, unknown keys are dropped, and a field of a wrong type costs that
field, never the frame. Outbound is exact: no key without a value, because the gateway refuses `null` and unknown keys.
"""
