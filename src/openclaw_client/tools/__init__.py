"""Python functions that agents use as their tools.

Knows how a function becomes a tool, what a call's arguments and results look like, and how a host keeps its tools
published and answers calls. Refuses to know what a chat is.
"""
