"""The async face, and the engine that both faces drive.

Knows runs, sessions, whose events are whose, and the names that users call. Refuses to know threads: everything here
belongs to one event loop.
"""
