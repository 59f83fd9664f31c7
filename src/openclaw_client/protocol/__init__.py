"""The client and the server side of the protocol as state machines without I/O.

Knows the order of frames, the correlation of requests, every timer, and why a connection ended. Refuses to know
asyncio, sockets, keys and randomness: the clock is an argument, and whoever owns a core signs and sends for it.

One set of verbs: `receive`, `receive_close`, `request`, `outbox`, `next_event`, `deadline`, `handle_deadline`, `state`.
"""
