"""One message and its run on a connection: arguments, sending, following, the end, and messages that were missed.

Drives the machine of `runs`. Refuses to know the engine and the faces.
"""
