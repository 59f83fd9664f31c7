"""Requests of one client: sent, answered, refused, shared, and what errors tell about them.

Refuses to know what a chat is.
"""
