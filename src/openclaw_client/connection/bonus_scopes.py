"""Scopes that are asked for beside what a client needs, and done without where its device may not have them.

What answers an agent's questions must not take down a chat that works.
"""

from __future__ import annotations

from openclaw_client.connection.settings import Settings
from openclaw_client.logs import GuardedLogger
from openclaw_client.policy import diagnose
from openclaw_client.policy.credentials import Selection, wants_too_much
from openclaw_client.wire.frames import ErrorShape
from openclaw_client.wire.handshake import Hello

logger = GuardedLogger("openclaw_client.connection")


class BonusScopes:
    """What one client's earlier connects taught about them."""

    __slots__ = ("_in_vain",)

    def __init__(self) -> None:
        self._in_vain = False

    def of(self, settings: Settings) -> tuple[str, ...]:
        """Those to ask for now."""
        return () if self._in_vain else settings.bonus_scopes

    def were_refused(self, error: ErrorShape, selection: Selection, settings: Settings) -> bool:
        """Whether they are what a connect was refused for; the next one is made without them."""
        if self._in_vain or not wants_too_much(error, selection, settings.bonus_scopes):
            return False
        self._in_vain = True
        logger.warning("%s", diagnose.done_without(error, settings.bonus_scopes))
        return True

    def learn(self, hello: Hello) -> None:
        """A release without questions is not asked for their scope again."""
        self._in_vain = self._in_vain or not any(name.startswith("question.") for name in hello.features.methods)

    def ask_again(self) -> None:
        """Something has changed at the gateway."""
        self._in_vain = False
