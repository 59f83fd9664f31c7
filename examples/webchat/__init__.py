"""A chat in the browser for several users, each with a conversation of their own at one gateway.

`python -m examples.webchat` runs it; docs/webchat.md tells how it is made.
"""
