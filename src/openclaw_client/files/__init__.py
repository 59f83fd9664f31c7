"""Files that agents sent: listed, fetched, and written to a disk.

Knows the gateway's two ways of handing one out, and whose sessions they are. Refuses to know runs and threads.
"""
