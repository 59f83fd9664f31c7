"""Many users in one process: one connection each, opened when it is needed and closed when it is not.

Knows who is connected and when to close whom. Decisions are taken in `table`, which has no clock and does no I/O; the
two faces carry them out. Refuses to know what a connection does, and where it lives: it asks a client for its state and
calls the names that every client has.
"""
