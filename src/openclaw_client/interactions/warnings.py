"""What keeps a client from answering its agents, said once per connection: nothing else shows it."""

from __future__ import annotations

from collections.abc import Collection

from openclaw_client.errors import GatewayError
from openclaw_client.logs import GuardedLogger
from openclaw_client.policy.scopes import covers
from openclaw_client.runs.interactions import MAX_PENDING, Interaction, Kind, kind_of
from openclaw_client.wire.handshake import Hello

logger = GuardedLogger("openclaw_client.interactions")

SCOPE = "operator.approvals"
"""Without which nobody is asked."""
HEADLESS = (b"Headless runs cannot wait for", b"missing scope: operator.approvals")
"""What stands in the result of a command that was refused because nobody could be asked (2026.8.1 and 2026.9.6)."""
ADMIN_ONLY = "2026.6."
"""Releases that show a waiting command to connections with operator.admin, and not to the one that asked."""

_HOW = {
    "approvals": 'register on_approval, or pass answers=["approvals"], before connect()',
    "questions": 'register on_question, or pass answers=["questions"], before connect()',
}


class Warnings:
    """with_device: whether the client has a device identity."""

    __slots__ = ("_said", "_with_device")

    def __init__(self, *, with_device: bool) -> None:
        self._with_device = with_device
        self._said: frozenset[str] = frozenset()

    def connected(self, hello: Hello | None, granted: tuple[str, ...] | None, wanted: Collection[Kind]) -> None:
        """A connection is ready: what it lacks for the kinds that somebody answers."""
        self._said = frozenset()
        version = hello.server.version if hello is not None else ""
        if "approvals" in wanted and granted is not None and not covers(granted, SCOPE):
            # Of questions it is said where the connect was refused for their scope; older releases have none.
            what = (
                "approvals cannot be answered: this connection lacks %s; have it approved, or pass a token that has it"
            )
            self._say("approvals", what, SCOPE)
        if "approvals" not in wanted or granted is None or covers(granted, "operator.admin"):
            return
        if version.startswith(ADMIN_ONLY):
            what = "approvals cannot be answered: gateway %s asks connections with operator.admin alone"
            self._say("admin", what, version)
        elif not self._with_device:
            what = "approvals cannot be answered: a client without a device is asked with operator.admin only"
            self._say("device", what)

    def heard(self, item: Interaction, wanted: bool) -> None:
        """One is pending. wanted: whether somebody here answers such ones."""
        if not wanted:
            kind = kind_of(item)
            what = "an agent waits for one of its %s, and nobody here answers: %s"
            self._say(f"nobody:{kind}", what, kind, _HOW[kind])

    def tool_result(self, data: bytes) -> None:
        """The result of a tool of one's own run."""
        if "headless" not in self._said and any(words in data for words in HEADLESS):
            what = "a command of the agent's was refused because nobody can be asked to approve it: %s"
            self._say("headless", what, _HOW["approvals"])

    def full(self) -> None:
        """One more came than are kept."""
        what = "%d approvals and questions wait, or they are very long; the next ones are left to other clients"
        self._say("full", what, MAX_PENDING)

    def list_failed(self, kind: Kind, error: GatewayError) -> None:
        """What is pending cannot be read; new ones are heard of all the same."""
        what = "which %s are pending cannot be read: %s"
        self._say(f"list:{kind}", what, kind, error)

    def _say(self, key: str, text: str, *args: object) -> None:
        if key not in self._said:
            self._said |= {key}
            logger.warning(text, *args)
