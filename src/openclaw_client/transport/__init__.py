"""Whole text messages over a socket: what a connection needs, and nothing of what the messages say.

Knows WebSocket, TLS and proxies. Refuses to know the gateway's protocol, and to decide anything: a transport reports
how it ended, once, and is then of no further use.
"""

from openclaw_client.transport.base import Listener, Opener, Transport

__all__ = ["Listener", "Opener", "Transport"]
