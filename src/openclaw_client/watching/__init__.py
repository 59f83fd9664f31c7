"""The list of sessions and the rows of one session, followed as they change, over reconnects.

Refuses to know who reads, and threads.
"""
