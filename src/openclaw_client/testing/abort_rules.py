"""Which runs chat.abort finds, under which spelling of their session, and for whom.

Knows the rules of each release. Refuses to know what stopping a run does.
"""

from __future__ import annotations

from openclaw_client.testing.callers import Owner
from openclaw_client.testing.run import Run
from openclaw_client.testing.traits import Profile


class AbortRules:
    """The rules of one release."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def is_found(self, run: Run) -> bool:
        """Whether a run can be stopped at all."""
        return self._profile.agent_aborts or not run.by_agent

    def is_spelled(self, run: Run, written_key: str, key: str, *, admin: bool) -> bool:
        """Whether the session of a run is named as the release wants it. key: what was written, canonical."""
        rule = self._profile.abort_key
        wanted = {"exact": run.written_key, "canonical": run.key, "any": written_key if key == run.key else None}[rule]
        # An administrator of a v4 gateway may stop any run under any key.
        return written_key == wanted or (rule != "exact" and admin)

    def may(self, theirs: Owner, owner: Owner, *, admin: bool) -> bool:
        """Whether somebody may stop what another one sent."""
        if admin or not self._profile.abort_needs_owner:
            return True
        if theirs.device is not None or owner.device is not None:
            return theirs.device == owner.device
        return theirs.connection == owner.connection
