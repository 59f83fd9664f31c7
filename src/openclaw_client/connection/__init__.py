"""One object is one socket, used once; a supervisor makes the next one.

Knows asyncio, the handshake with its one-shot retries, and when to reconnect. Refuses to know what a chat is: frames go
to whoever gave the callbacks, in order, on the loop's thread.
"""
