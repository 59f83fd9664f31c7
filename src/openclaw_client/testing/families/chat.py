"""chat.* and agent.wait."""

from __future__ import annotations

from openclaw_client.testing.chat import Chat
from openclaw_client.testing.history import History
from openclaw_client.testing.registry import READ, WRITE, Family, Method


def chat_methods(chat: Chat, history: History) -> Family:
    """What a conversation is held and read with."""
    return {
        "chat.send": Method(chat.send, WRITE),
        "chat.abort": Method(chat.abort, WRITE),
        "chat.inject": Method(chat.inject),
        "chat.history": Method(history.page, READ),
        "chat.message.get": Method(history.message, READ),
        "agent.wait": Method(chat.wait, WRITE),
    }
