"""Approvals and questions: who may see them, and answer them."""

from __future__ import annotations

from openclaw_client.testing.answer_schema import ANSWER_SCOPES
from openclaw_client.testing.approval_methods import ApprovalMethods
from openclaw_client.testing.asking import Asked
from openclaw_client.testing.questions import QuestionMethods
from openclaw_client.testing.registry import Family, Method


def asked_methods(asked: Asked) -> Family:
    """The methods about what an agent asked people."""
    handlers = ApprovalMethods(asked.approvals).handlers() | QuestionMethods(asked.questions).handlers()
    return {name: Method(handler, ANSWER_SCOPES[name]) for name, handler in handlers.items()}
