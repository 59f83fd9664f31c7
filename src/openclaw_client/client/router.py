"""Whose frames are whose: runs by run id, messages by session, everything else by name.

A run is matched by its run id, and by its session where a client is shown some sessions only: whoever chooses run ids
may know, or meet, one of another user. A session alone never makes a foreign run one's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from math import inf
from time import monotonic
from typing import Any

from openclaw_client.chat.context import RunListener
from openclaw_client.chat.held import HeldMessages
from openclaw_client.client.events import EventSink, GatewayEvent
from openclaw_client.client.siblings import siblings
from openclaw_client.connection.fast_path import FastPath
from openclaw_client.interactions.events import ENDINGS, without_answers
from openclaw_client.interactions.events import EVENTS as INTERACTION_EVENTS
from openclaw_client.interactions.interactions import Interactions
from openclaw_client.runs.application import Application
from openclaw_client.runs.proactive import ProactiveAssembler, ProactiveMessage
from openclaw_client.runs.usage import row_of
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.sessions.gates import SessionGates
from openclaw_client.sessions.named import named_sessions
from openclaw_client.watching.watches import WATCHED_EVENTS, Watches
from openclaw_client.wire.agent import decode_agent
from openclaw_client.wire.chat import TERMINAL_STATES, ChatPayload
from openclaw_client.wire.deltas import head_of
from openclaw_client.wire.frames import ChatFrame, Event, decode_payload, frame_payload

EventHandler = Callable[[GatewayEvent], object]

NOTE_USE_EVERY = 1.0
"""Seconds. Nobody closes an idle client by less, and a clock reading per frame shows in a stream."""
OPEN_FOR = 60.0
"""Seconds without an event after which somebody else's run no longer counts as going on: its end may have been lost."""
PUBLIC_EVENTS = frozenset({"tick", "shutdown"})
"""Events that say nothing about anybody. All others that name no session (presence, health, cron) show other users."""
_SESSION = b'"sessionKey":"'
"""How the session stands in what a run's frames begin with."""
_NAMES_SESSION = (b"ession", b'"agent:')
"""What is in the name of a field for sessions, and how a key begins: a chat event repeats its whole text, and is
searched rather than decoded."""


class _Registration:
    """A handler for the events of a name; the same one may be registered twice."""

    __slots__ = ("handler", "name")

    def __init__(self, name: str, handler: EventHandler) -> None:
        self.name = name
        self.handler = handler


class Router:
    """Gets every frame of a ready connection, on the loop's thread.

    used_at: when something last came for the caller; moves once a second while text streams.
    """

    def __init__(
        self,
        sessions: SessionFilter,
        gates: SessionGates,
        *,
        on_message: Callable[[ProactiveMessage], None],
        on_event: Callable[[EventHandler, GatewayEvent], None],
        hold: Callable[[str], HeldMessages],
        interactions: Callable[[], Interactions],
        watches: Callable[[], Watches],
        application: Application | None = None,
    ) -> None:
        self.sessions = sessions
        self._application = application
        self._interactions, self._watches = interactions, watches
        self._hold = hold
        self._gates = gates
        self._on_message = on_message
        self._put_event = on_event
        self.used_at = -inf
        self._note_use_at = -inf
        self._runs: dict[str, tuple[RunListener, ...]] = {}
        self._streams: list[EventSink] = []
        self._handlers: list[_Registration] = []
        self.fast_path = FastPath()

    @cached_property
    def _proactive(self) -> ProactiveAssembler:
        """Made when the first run or message comes: of many users most are silent for hours."""
        return ProactiveAssembler(self._application)

    # Runs.

    def add(self, run: RunListener) -> None:
        """Give a run the events of all its run ids, from now on."""
        self.fast_path.disable()
        for run_id in run.run_ids:
            runs = self._runs.get(run_id, ())
            if run not in runs:
                self._runs[run_id] = (*runs, run)
                self._proactive.reopened(run_id)
                siblings.sent(self._application, run_id)
        self._interactions().run_added(run)

    def remove(self, run: RunListener) -> None:
        """A run is over: what comes late for it is nobody's."""
        self.fast_path.disable()
        for run_id in run.run_ids:
            runs = self._runs.get(run_id, ())
            if run in runs:
                left = tuple(other for other in runs if other is not run)
                if left:
                    self._runs[run_id] = left
                else:
                    del self._runs[run_id]
            self._proactive.finished(run_id)

    def is_known_run(self, run_id: str) -> bool:
        """Whether a run is this client's own, or its message was heard. From any thread: nothing is made here."""
        return run_id in self._runs or ("_proactive" in self.__dict__ and self._proactive.is_known(run_id))

    def known(self, run_id: str) -> None:
        """A run was this user's own before there was a connection."""
        self._proactive.finished(run_id)

    def has_open_run(self, run_id: str) -> bool:
        """Whether the beginning of somebody else's run was heard, and not its end."""
        return self._proactive.has_open(run_id)

    def open_sessions(self) -> list[str]:
        """The sessions of such runs."""
        return self._proactive.open_sessions()

    def open_runs(self, session: str) -> list[str]:
        """The runs of a session, by its canonical key, that are somebody else's and go on."""
        return [run_id for run_id, _ in self._open_in(session)]

    def is_busy(self, run: RunListener) -> bool:
        """Whether another run of the session is heard and not over."""
        session = self.sessions.canonical(run.session_key)
        return bool(self._own_in(session, run) or self._open_in(session))

    def heard_at(self, run: RunListener) -> float:
        """When something of another run of the session came last, by the loop's clock; -inf where none is heard."""
        session = self.sessions.canonical(run.session_key)
        own = [other.heard_at for other in self._own_in(session, run)]
        return max([*own, *(heard_at for _, heard_at in self._open_in(session))], default=-inf)

    def _own_in(self, session: str, run: RunListener | None) -> list[RunListener]:
        """The other runs of this client in a session that have the gateway's attention."""
        others = (other for other in self.runs() if other is not run and not other.deferred)
        return [other for other in others if self.sessions.canonical(other.session_key) == session]

    def _open_in(self, session: str) -> list[tuple[str, float]]:
        """Somebody else's runs in a session that go on, and when something of each came last."""
        since, canonical = asyncio.get_running_loop().time() - OPEN_FOR, self.sessions.canonical
        opened = self._proactive.open_runs(since)
        return [(run_id, heard_at) for run_id, key, heard_at in opened if key and canonical(key) == session]

    def followed_by(self, run_id: str) -> str | None:
        """The run whose events are taken for those of a run; None where they are its own."""
        return next((run.followed for run in self._runs.get(run_id, ()) if run.followed is not None), None)

    def hold(self, session_key: str) -> HeldMessages:
        """Keep messages of a session back, see `chat.missed_messages`."""
        return self._hold(session_key)

    def handed_out(self, run_id: str) -> None:
        """The message of a run was handed out, or was the answer to a message of this client."""
        self.used_at = monotonic()
        self._proactive.finished(run_id)

    def run_of(self, run_id: str, session: str | None) -> RunListener | None:
        """The run of an id, where it is one of this session, as far as one is named."""
        runs = self._listeners(run_id, session)
        return runs[0] if runs else None

    def runs_of(self, run_id: str) -> tuple[RunListener, ...]:
        """All of this client's that follow a run."""
        return self._runs.get(run_id, ())

    def runs_in(self, session: str) -> list[RunListener]:
        """This client's runs in a session that have the gateway's attention."""
        return self._own_in(self.sessions.canonical(session), None)

    @property
    def running(self) -> bool:
        """Whether a run is under way to which somebody listens. From any thread."""
        return any(not run.left for runs in tuple(self._runs.values()) for run in runs)

    def runs(self) -> list[RunListener]:
        """All runs under way, each once."""
        return list(dict.fromkeys(run for runs in self._runs.values() for run in runs))

    # Streams and handlers. They may be added in any thread: first added, then the fast path disabled, see
    # `_enable_fast_path`.

    def add_stream(self, stream: EventSink) -> None:
        self._streams.append(stream)
        self.fast_path.disable()

    def remove_stream(self, stream: EventSink) -> None:
        if stream in self._streams:
            self._streams.remove(stream)

    def streams(self) -> list[EventSink]:
        return list(self._streams)

    def add_handler(self, name: str, handler: EventHandler) -> Callable[[], None]:
        """Call handler for every event of this name; returns what ends that."""
        registered = _Registration(name, handler)
        self._handlers.append(registered)
        self.fast_path.disable()

        def remove() -> None:
            # Called twice, it has nothing to do.
            with suppress(ValueError):
                self._handlers.remove(registered)

        return remove

    def adopt_handlers(self, other: Router) -> None:
        """Take over the handlers of another router."""
        self._handlers.extend(other._handlers)

    # Frames.

    def on_frame(self, frame: ChatFrame | Event, now: float) -> None:
        """now: when it was received, by the loop's clock."""
        if isinstance(frame, ChatFrame):
            payload = frame.payload
            runs = self._runs.get(payload.run_id)
            if runs and self.sessions.restricted:
                runs = self._of_session(runs, payload.session_key)
            if payload.state in TERMINAL_STATES:
                self._tell_of_end(payload, now)
            if not runs:
                self._on_foreign(payload, now)
            else:
                if now >= self._note_use_at or payload.state != "delta":
                    self._note_use_at = now + NOTE_USE_EVERY
                    self.used_at = monotonic()
                if payload.state != "delta":
                    for run in runs:
                        run.on_chat(payload, now)
                else:
                    for run in runs:
                        run.on_delta(payload, now)
                    if len(runs) == 1 and not (self._streams or self._handlers):
                        self._enable_fast_path(runs[0], frame.raw, now)
        else:
            self._on_event_frame(frame, now)
        if self._streams or self._handlers:
            self._hand_out(frame)

    def _on_event_frame(self, frame: Event, now: float) -> None:
        """An event that may say something of a run, beside its chat events."""
        if frame.event == "agent":
            self._on_agent(frame, now)
        elif frame.event == "chat.side_result":
            self._on_side_result(frame, now)
        elif frame.event in WATCHED_EVENTS:
            if frame.event == "session.message" and self._runs:
                self._on_row(frame)
            self._watches().on_event(frame)
        elif frame.event in INTERACTION_EVENTS:
            self._interactions().on_event(frame)

    def _enable_fast_path(self, run: RunListener, data: bytes, now: float) -> None:
        """Let the run's next deltas take the fast path, as long as nobody else wants to see them."""
        if self.sessions.restricted and _SESSION not in (head_of(data) or b""):
            # By what a frame begins with, one of another session would be taken for this run's.
            return
        take = run.fast_path(data, now + NOTE_USE_EVERY)
        if take is not None:
            self.fast_path.enable(data, take)
            if self._streams or self._handlers:
                # Somebody else's thread began to listen since it was looked whether anybody does.
                self.fast_path.disable()

    def _on_foreign(self, payload: ChatPayload, now: float) -> None:
        """A chat event of a run that is not this client's."""
        if not self._accepts(payload):
            return
        message = self._proactive.receive(payload, now)
        over = payload.state in TERMINAL_STATES
        if over or self._gates.attentive:
            session = self.sessions.canonical(payload.session_key)
            if over:
                self._gates.other_ended(session, payload.run_id, now)
            elif not self._proactive.is_known(payload.run_id):
                self._gates.other_began(session, payload.run_id, now)
        if message is not None:
            self.used_at = monotonic()
            self._on_message(message)

    def _tell_of_end(self, payload: ChatPayload, now: float) -> None:
        """A run ended: the others of its session may have ended before it."""
        self._watches().on_end(payload.session_key, payload.state)
        session = self.sessions.canonical(payload.session_key)
        for run in self.runs():
            if payload.run_id not in run.run_ids and self.sessions.canonical(run.session_key) == session:
                run.on_other_ended(now)

    def _on_agent(self, frame: Event, now: float) -> None:
        payload = decode_agent(frame)
        if payload is None:
            return
        runs = self._listeners(payload.run_id, payload.session_key)
        if runs:
            for run in runs:
                run.on_agent(payload, now)
            if payload.stream == "tool":
                self._interactions().on_tool(payload)
        else:
            self._proactive.heard(payload.run_id, now)
            if payload.is_heartbeat:
                self._proactive.heartbeat(payload.run_id)
            siblings.heard(self._application, payload, self.sessions.accepts)

    def _on_side_result(self, frame: Event, now: float) -> None:
        payload = decode_payload(frame.payload)
        if isinstance(payload, dict):
            for run in self._listeners(payload.get("runId"), payload.get("sessionKey")):
                run.on_side_result(payload, now)

    def _on_row(self, frame: Event) -> None:
        """A row was written: subscribers are told before the end of its run, which does not tell what it took."""
        payload = decode_payload(frame.payload)
        row = row_of(payload)
        if row is not None:
            for run in self._listeners(row.run_id, payload.get("sessionKey")):
                run.on_row(row)

    def _listeners(self, run_id: object, session: object) -> tuple[RunListener, ...]:
        """The runs of this client that an event is about. session: the one that it names, in any spelling."""
        runs = self._runs.get(run_id, ()) if isinstance(run_id, str) else ()
        return self._of_session(runs, session) if runs and self.sessions.restricted else runs

    def _of_session(self, runs: tuple[RunListener, ...], session: object) -> tuple[RunListener, ...]:
        """Those of a session; all of them for an event that names none."""
        if not isinstance(session, str) or not session:
            return runs
        canonical = self.sessions.canonical
        named = canonical(session)
        return tuple(run for run in runs if run.session_key == session or canonical(run.session_key) == named)

    def _hand_out(self, frame: ChatFrame | Event) -> None:
        # A copy: in another thread one may be taken out meanwhile.
        handlers = [one.handler for one in tuple(self._handlers) if one.name == frame.event]
        streams = [stream for stream in self._streams if stream.wants(frame.event)]
        if not (handlers or streams) or not self._permitted(frame):
            return
        if frame.event == "question.resolved" and isinstance(frame, Event):
            frame = without_answers(frame)
        event = GatewayEvent(frame)
        for stream in streams:
            stream.put(event)
        for handler in handlers:
            self._put_event(handler, event)

    def _accepts(self, payload: ChatPayload) -> bool:
        """Whether a chat event that belongs to no run of this client is for its user."""
        if self.sessions.accepts(payload.session_key):
            return True
        # A sub-agent works in a session of its own, and its events name the session that it works for.
        return self.sessions.private and bool(payload.spawned_by) and self.sessions.accepts(payload.spawned_by or "")

    def _permitted(self, frame: ChatFrame | Event) -> bool:
        """Whether an event may be handed out: only where every session that it names may be."""
        if not self.sessions.restricted or frame.event in PUBLIC_EVENTS:
            return True
        if isinstance(frame, ChatFrame):
            return self._chat_permitted(frame)
        payload = frame_payload(frame)
        if frame.event in INTERACTION_EVENTS:
            # Some name no session, and the ends what somebody answered: what was taken in has passed the wall.
            if isinstance(payload, dict) and self._interactions().knows(payload.get("id")):
                return True
            return frame.event not in ENDINGS and self._all_accepted(payload, unnamed=False)
        if isinstance(payload, dict) and self._listeners(payload.get("runId"), payload.get("sessionKey")):
            # The session of a run of one's own, which need not be one of those that were given.
            return self._all_accepted(payload, apart_from=payload.get("sessionKey"))
        return self._all_accepted(payload, unnamed=not self.sessions.private)

    def _chat_permitted(self, frame: ChatFrame) -> bool:
        payload = frame.payload
        own = self._listeners(payload.run_id, payload.session_key)
        if not own and not self._accepts(payload):
            return False
        if payload.spawned_by is None and all(frame.raw.count(sign) <= 1 for sign in _NAMES_SESSION):
            # Nearly every event: it has no field but the one that was looked at.
            return True
        return self._all_accepted(frame_payload(frame), apart_from=payload.session_key)

    def _all_accepted(self, payload: Any, *, apart_from: object = None, unnamed: bool = True) -> bool:
        """Whether all sessions that a payload names are this client's. unnamed: the answer where it names none."""
        named, accepts = named_sessions(payload), self.sessions.accepts
        if not named.complete:
            return False
        if not named.about:
            return unnamed if not named.children else all(map(accepts, named.children))
        return all(key == apart_from or accepts(key) for key in named.about)
