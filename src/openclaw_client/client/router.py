"""Whose frames are whose: runs by run id, messages by session, everything else by name.

A run is matched by its run id alone. A session decides what is handed out beside the runs, and never makes a foreign
run one's own.
"""

from __future__ import annotations

import inspect
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import cached_property
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from openclaw_client.client.events import EventSink, GatewayEvent
from openclaw_client.connection.shortcuts import Shortcuts
from openclaw_client.errors import UsageError
from openclaw_client.runs.proactive import ProactiveAssembler, ProactiveMessage
from openclaw_client.wire.agent import decode_agent
from openclaw_client.wire.chat import TERMINAL_STATES, ChatPayload
from openclaw_client.wire.frames import ChatFrame, Event, decode_payload, frame_payload
from openclaw_client.wire.handshake import Hello
from openclaw_client.wire.sessions import DEFAULT_AGENT, canonical_key, check_session_key

if TYPE_CHECKING:
    from openclaw_client.client.driver import RunDriver

logger = logging.getLogger("openclaw_client.client")

Sessions = Iterable[str] | Callable[[str], bool] | None
EventHandler = Callable[[GatewayEvent], object]

_NO_KEYS: frozenset[str] = frozenset()
MAX_USED = 1000
"""Sessions that a private client remembers as its own; far more than a user has open, and a bound for a client that
lives for months. The least recently used is forgotten first."""
NOTE_USE_EVERY = 1.0
"""Seconds. Nobody closes an idle client by less, and every reading of a clock is felt in a stream."""
PUBLIC_EVENTS = frozenset({"tick", "shutdown"})
"""Events that say nothing about anybody. All others that name no session (presence, health, cron) show other users."""


class SessionFilter:
    """Which sessions a client hands out: all, a list of keys in any spelling, or what a predicate accepts.

    private: for one of many users. Nothing is handed out but the given sessions and those that this client has used,
    and of events that name neither a session nor a run of this client only the harmless ones.
    """

    def __init__(self, sessions: Sessions = None, *, private: bool = False) -> None:
        self.private = private
        self._default_agent, self._main_key = DEFAULT_AGENT, "main"
        self._used: OrderedDict[str, None] = OrderedDict()
        self._complained = False
        self.give(sessions)

    def give(self, sessions: Sessions) -> None:
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
        self._fold()

    def named(self) -> list[str]:
        """The keys that were given and used, as they were written."""
        return [*(self._given or ()), *self._used]

    @property
    def restricted(self) -> bool:
        return self.private or self._predicate is not None or self._given is not None

    @property
    def given(self) -> tuple[str, ...]:
        """The keys that the client was given, as they were given."""
        return self._given or ()

    def use(self, key: object) -> None:
        """The caller names a session in a call of its own. On the loop's thread."""
        if not self.private or not isinstance(key, str) or not key:
            return
        if key in self._used:
            self._used.move_to_end(key)
            return
        self._used[key] = None
        if len(self._used) > MAX_USED:
            self._used.popitem(last=False)
        self._fold()

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
        return folded in self._keys or (self._predicate is not None and self._asks(self._predicate, folded))

    def _asks(self, predicate: Callable[[str], bool], key: str) -> bool:
        """Whether the caller's predicate accepts a key; what it raises says no, and must not reach the reader."""
        try:
            return bool(predicate(key))
        except Exception:
            if not self._complained:
                self._complained = True
                logger.exception("the predicate sessions= raised; the sessions for which it does are not handed out")
            return False

    def _fold(self) -> None:
        keys = frozenset(self.canonical(key) for key in self.named())
        self._keys = keys or _NO_KEYS


class Router:
    """Gets every frame of a ready connection, on the loop's thread.

    used_at: when something last came for the caller, to the second while text streams.
    """

    def __init__(
        self,
        sessions: SessionFilter,
        *,
        on_message: Callable[[ProactiveMessage], None],
        on_event: Callable[[EventHandler, GatewayEvent], None],
    ) -> None:
        self.sessions = sessions
        self._on_message = on_message
        self._on_event = on_event
        self.used_at = -inf
        self._note_use_at = -inf
        self._runs: dict[str, tuple[RunDriver, ...]] = {}
        self._streams: list[EventSink] = []
        self._handlers: dict[str, list[EventHandler]] = {}
        self.shortcuts = Shortcuts()

    @cached_property
    def _proactive(self) -> ProactiveAssembler:
        """Made when the first run or message comes: of many users most are silent for hours."""
        return ProactiveAssembler()

    # Runs.

    def add(self, run: RunDriver) -> None:
        """Give a run the events of all its run ids, from now on."""
        self.shortcuts.close()
        for run_id in run.run_ids:
            runs = self._runs.get(run_id, ())
            if run not in runs:
                self._runs[run_id] = (*runs, run)
                self._proactive.reopened(run_id)

    def remove(self, run: RunDriver) -> None:
        """A run is over: what comes late for it is nobody's."""
        self.shortcuts.close()
        for run_id in run.run_ids:
            runs = self._runs.get(run_id, ())
            if run in runs:
                left = tuple(other for other in runs if other is not run)
                if left:
                    self._runs[run_id] = left
                else:
                    del self._runs[run_id]
            self._proactive.finished(run_id)

    def knows(self, run_id: str) -> bool:
        """Whether a run is this client's own, or its message was handed out."""
        return run_id in self._runs or self._proactive.knows(run_id)

    def hears(self, run_id: str) -> bool:
        """Whether the beginning of somebody else's run was heard, and not its end."""
        return self._proactive.hears(run_id)

    def open_sessions(self) -> list[str]:
        """The sessions of such runs."""
        return self._proactive.open_sessions()

    def handed_out(self, run_id: str) -> None:
        """The message of a run was handed out, from the history."""
        self._proactive.finished(run_id)

    @property
    def running(self) -> bool:
        """Whether a run is under way to which somebody listens. From any thread."""
        return any(not run.left for runs in tuple(self._runs.values()) for run in runs)

    def runs(self) -> list[RunDriver]:
        """All runs under way, each once."""
        return list(dict.fromkeys(run for runs in self._runs.values() for run in runs))

    # Streams and handlers. They may be added in any thread: first added, then the short way closed, see `_shorten`.

    def add_stream(self, stream: EventSink) -> None:
        self._streams.append(stream)
        self.shortcuts.close()

    def remove_stream(self, stream: EventSink) -> None:
        if stream in self._streams:
            self._streams.remove(stream)

    def streams(self) -> list[EventSink]:
        return list(self._streams)

    def add_handler(self, name: str, handler: EventHandler) -> Callable[[], None]:
        """Call handler for every event of this name; returns what ends that."""
        handlers = self._handlers.setdefault(name, [])
        handlers.append(handler)
        self.shortcuts.close()

        def remove() -> None:
            if handler in handlers:
                handlers.remove(handler)

        return remove

    def adopt_handlers(self, other: Router) -> None:
        """Take over the handlers of another router."""
        for name, handlers in other._handlers.items():
            self._handlers.setdefault(name, []).extend(handlers)

    # Frames.

    def on_frame(self, frame: ChatFrame | Event, now: float) -> None:
        """now: when it was received, by the loop's clock."""
        if isinstance(frame, ChatFrame):
            payload = frame.payload
            runs = self._runs.get(payload.run_id)
            if payload.state in TERMINAL_STATES and self._runs:
                self._tell_of_end(payload)
            if runs is None:
                self._on_foreign(payload)
            else:
                if now >= self._note_use_at or payload.state != "delta":
                    self._note_use_at = now + NOTE_USE_EVERY
                    self.used_at = monotonic()
                for run in runs:
                    run.on_chat(payload, now)
                if payload.state == "delta" and len(runs) == 1 and not (self._streams or self._handlers):
                    self._shorten(runs[0], frame.raw, now)
        elif frame.event == "agent":
            self._on_agent(frame)
        elif frame.event == "chat.side_result":
            self._on_side_result(frame)
        if self._streams or self._handlers:
            self._hand_out(frame)

    def _shorten(self, run: RunDriver, data: bytes, now: float) -> None:
        """Let the run's next deltas take the short way, as long as nobody else wants to see them."""
        take = run.short_way(data, now + NOTE_USE_EVERY)
        if take is not None:
            self.shortcuts.offer(data, take)
            if self._streams or self._handlers:
                # Somebody else's thread began to listen since it was looked whether anybody does.
                self.shortcuts.close()

    def _on_foreign(self, payload: ChatPayload) -> None:
        """A chat event of a run that is not this client's."""
        if not self._accepts(payload):
            return
        message = self._proactive.receive(payload)
        if message is not None:
            self.used_at = monotonic()
            self._on_message(message)

    def _tell_of_end(self, payload: ChatPayload) -> None:
        """A run ended: the others of its session may have ended before it."""
        session = self.sessions.canonical(payload.session_key)
        for run in self.runs():
            if payload.run_id not in run.run_ids and self.sessions.canonical(run.request.session_key) == session:
                run.on_end_of_another()

    def _on_agent(self, frame: Event) -> None:
        payload = decode_agent(frame)
        if payload is None:
            return
        runs = self._runs.get(payload.run_id)
        if runs is not None:
            for run in runs:
                run.on_agent(payload)
        elif payload.is_heartbeat:
            self._proactive.heartbeat(payload.run_id)

    def _on_side_result(self, frame: Event) -> None:
        payload = decode_payload(frame.payload)
        if isinstance(payload, dict):
            for run in self._runs.get(str(payload.get("runId")), ()):
                run.on_side_result(payload)

    def _hand_out(self, frame: ChatFrame | Event) -> None:
        handlers = self._handlers.get(frame.event, ())
        streams = [stream for stream in self._streams if stream.wants(frame.event)]
        if not (handlers or streams) or not self._permitted(frame):
            return
        event = GatewayEvent(frame)
        for stream in streams:
            stream.put(event)
        for handler in tuple(handlers):
            self._on_event(handler, event)

    def _accepts(self, payload: ChatPayload) -> bool:
        """Whether a chat event that belongs to no run of this client is for its user."""
        if self.sessions.accepts(payload.session_key):
            return True
        # A sub-agent works in a session of its own, and its events name the session that it works for.
        return self.sessions.private and bool(payload.spawned_by) and self.sessions.accepts(payload.spawned_by or "")

    def _permitted(self, frame: ChatFrame | Event) -> bool:
        """Whether an event may be handed out: one that names a session only where that session may."""
        if not self.sessions.restricted:
            return True
        if isinstance(frame, ChatFrame):
            return frame.payload.run_id in self._runs or self._accepts(frame.payload)
        if frame.event in PUBLIC_EVENTS:
            return True
        payload = frame_payload(frame)
        if not isinstance(payload, dict):
            return not self.sessions.private
        if payload.get("runId") in self._runs:
            return True
        keys = _named_sessions(payload)
        if not keys:
            return not self.sessions.private
        return all(self.sessions.accepts(key) for key in keys)


def _named_sessions(payload: dict[str, Any]) -> list[str]:
    """The sessions that an event is about; approvals name theirs in the request, session rows have it as their key."""
    request, row = payload.get("request"), payload.get("session")
    found = [payload.get("sessionKey")]
    found += [request.get("sessionKey")] if isinstance(request, dict) else []
    found += [row.get("key")] if isinstance(row, dict) else []
    return [key for key in found if isinstance(key, str)]
