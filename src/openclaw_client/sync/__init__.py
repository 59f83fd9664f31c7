"""The same names without await.

Knows one thread with an event loop for all clients of the process, and how threads wait for it. Refuses to hold any
logic of its own: what a method does is decided in `client`.
"""
