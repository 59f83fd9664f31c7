"""Which sessions are a client's own: given by its caller, used in its calls, or accepted by a predicate.

Pure but for a log line. Refuses to know what comes in a session.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterable

from openclaw_client.errors import UsageError
from openclaw_client.logs import GuardedLogger, ends_more_than_a_callback
from openclaw_client.wire.handshake import Hello
from openclaw_client.wire.sessions import DEFAULT_AGENT, canonical_key, check_session_key

logger = GuardedLogger("openclaw_client.sessions")

Sessions = Iterable[str] | Callable[[str], bool] | None

_NO_KEYS: frozenset[str] = frozenset()
MAX_USED = 1000
"""Sessions that a client remembers to have used; far more than a user has open, and a bound for a client that lives for
months. The least recently used is forgotten first."""
MAX_LISTED = 1000
"""Sessions that were given and are subscribed to, each by a request on each connection: 2026.9.6 takes half a second
for so many. Beyond it the gateway sends everything."""


class SessionFilter:
    """Which sessions a client hands out: all, a list of keys in any spelling, or what a predicate accepts.

    private: for one of many users. Nothing is handed out but the given sessions and those that this client has used,
    and of events that name neither a session nor a run of this client only the harmless ones. remembers: whether the
    sessions that calls name are remembered.
    """

    def __init__(self, sessions: Sessions = None, *, private: bool = False) -> None:
        self.private = private
        self._default_agent, self._main_key = DEFAULT_AGENT, "main"
        # As they were written, by their canonical keys: a session that is spelled in two ways is one.
        self._used: OrderedDict[str, str] = OrderedDict()
        self._complained = False
        self.allow(sessions)

    def allow(self, sessions: Sessions) -> None:
        """Hand out these from now on, beside those in use. Raises UsageError for what is no list of keys."""
        if isinstance(sessions, str) or not (sessions is None or callable(sessions) or isinstance(sessions, Iterable)):
            what = "a string" if isinstance(sessions, str) else "no list of session keys"
            raise UsageError(message=f"sessions={sessions!r} is {what}", remedy="Pass a list of session keys")
        if inspect.iscoroutinefunction(sessions):
            # Its coroutine would count as a yes for every session.
            raise UsageError(message="sessions= is an `async def`", remedy="Pass a plain function, or a list of keys")
        self._predicate = sessions if callable(sessions) else None
        self._given: tuple[str, ...] | None = None
        if sessions is not None and not callable(sessions):
            self._given = tuple(check_session_key(key) for key in sessions)
        self.remembers = self.private or self.listed
        self._fold()

    def named(self) -> list[str]:
        """The keys that were given and used, as they were written."""
        return [*(self._given or ()), *self._used.values()]

    @property
    def restricted(self) -> bool:
        return self.private or self._predicate is not None or self._given is not None

    @property
    def listed(self) -> bool:
        """Whether a gateway can be told session by session what is handed out."""
        known = self.private if self._given is None else len(self._given) <= MAX_LISTED
        return known and self._predicate is None

    @property
    def by_name(self) -> bool:
        """Whether only sessions that were named are handed out, so that all of them are in `named()`."""
        return self.restricted and self._predicate is None

    @property
    def given(self) -> tuple[str, ...]:
        """The keys that the client was given, as they were given."""
        return self._given or ()

    def mark_used(self, key: object) -> str | None:
        """The caller names a session in a call of its own; returns the one that is forgotten for it. On the loop's
        thread. Only a private client is handed out what others say there."""
        if not self.remembers or not isinstance(key, str) or not key:
            return None
        folded = self.canonical(key)
        self._used.setdefault(folded, key)
        self._used.move_to_end(folded)
        return self._used.popitem(last=False)[1] if len(self._used) > MAX_USED else None

    def learn(self, hello: Hello) -> None:
        """Take over what this gateway calls its default agent and main session."""
        defaults = hello.snapshot.session_defaults
        if defaults is not None:
            self._default_agent = defaults.default_agent_id or DEFAULT_AGENT
            self._main_key = defaults.main_key or "main"
            self._fold()

    def canonical(self, key: str) -> str:
        return canonical_key(key, default_agent=self._default_agent, main_key=self._main_key)

    def accepts(self, key: str) -> bool:
        """Whether events of this session are handed out. The predicate gets the canonical key."""
        if not self.restricted:
            return True
        if self.private and not key:
            return False
        folded = self.canonical(key)
        if folded in self._keys or (self.private and folded in self._used):
            return True
        return self._predicate is not None and self._asks(self._predicate, folded)

    def _asks(self, predicate: Callable[[str], bool], key: str) -> bool:
        """Whether the caller's predicate accepts a key; what it raises says no, and must not reach the reader."""
        try:
            return bool(predicate(key))
        except BaseException as error:
            if ends_more_than_a_callback(error):
                raise
            if not self._complained:
                self._complained = True
                logger.exception("the predicate sessions= raised; the sessions for which it does are not handed out")
            return False

    def _fold(self) -> None:
        self._keys = frozenset(self.canonical(key) for key in self.given) or _NO_KEYS
        self._used = OrderedDict((self.canonical(key), key) for key in self._used.values())
