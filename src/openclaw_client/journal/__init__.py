"""What must survive the process: what was sent, how far each session is known, which messages wait for a handler.

Knows how that is written down and read again. Refuses to know the wire, who reads and who owns a connection.
"""
