"""Whose frames are whose: runs by run id, messages by session, everything else by name.

A run is matched by its run id alone. A session decides what is handed out beside the runs, and never makes a foreign
run one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from openclaw_client.client.events import EventSink, GatewayEvent
from openclaw_client.errors import UsageError
from openclaw_client.runs.proactive import ProactiveAssembler, ProactiveMessage
from openclaw_client.wire.agent import decode_agent
from openclaw_client.wire.frames import ChatFrame, Event, decode_payload, frame_payload
from openclaw_client.wire.handshake import Hello
from openclaw_client.wire.sessions import DEFAULT_AGENT, canonical_key, check_session_key

if TYPE_CHECKING:
    from openclaw_client.client.driver import RunDriver

Sessions = Iterable[str] | Callable[[str], bool] | None
EventHandler = Callable[[GatewayEvent], object]


class SessionFilter:
    """Which sessions this client hands out: all, a list of keys in any spelling, or what a predicate accepts."""

    def __init__(self, sessions: Sessions) -> None:
        self._default_agent, self._main_key = DEFAULT_AGENT, "main"
        self._predicate: Callable[[str], bool] | None = None
        self._given: tuple[str, ...] | None = None
        if sessions is None:
            pass
        elif callable(sessions):
            self._predicate = sessions
        elif isinstance(sessions, str):
            raise UsageError(message=f"sessions={sessions!r} is a string", remedy="Pass a list of session keys")
        else:
            self._given = tuple(check_session_key(key) for key in sessions)
        self._keys = self._fold()

    @property
    def restricted(self) -> bool:
        return self._predicate is not None or self._given is not None

    def learn(self, hello: Hello) -> None:
        """Take over what this gateway calls its default agent and main session."""
        defaults = hello.snapshot.session_defaults
        if defaults is not None:
            self._default_agent = defaults.default_agent_id or DEFAULT_AGENT
            self._main_key = defaults.main_key or "main"
            self._keys = self._fold()

    def canonical(self, key: str) -> str:
        return canonical_key(key, default_agent=self._default_agent, main_key=self._main_key)

    def accepts(self, key: str) -> bool:
        """Whether events of this session are handed out. The predicate gets the canonical key."""
        if self._predicate is not None:
            return bool(self._predicate(self.canonical(key)))
        return self._keys is None or self.canonical(key) in self._keys

    def _fold(self) -> frozenset[str] | None:
        return None if self._given is None else frozenset(self.canonical(key) for key in self._given)


class Router:
    """Gets every frame of a ready connection, on the loop's thread."""

    def __init__(
        self,
        sessions: SessionFilter,
        *,
        on_message: Callable[[ProactiveMessage], None],
        on_event: Callable[[EventHandler, GatewayEvent], None],
        on_use: Callable[[], None],
    ) -> None:
        self.sessions = sessions
        self._on_message = on_message
        self._on_event = on_event
        self._on_use = on_use
        self._runs: dict[str, list[RunDriver]] = {}
        self._proactive = ProactiveAssembler()
        self._streams: list[EventSink] = []
        self._handlers: dict[str, list[EventHandler]] = {}

    # Runs.

    def add(self, run: RunDriver) -> None:
        """Give a run the events of all its run ids, from now on."""
        for run_id in run.run_ids:
            runs = self._runs.setdefault(run_id, [])
            if run not in runs:
                runs.append(run)
                self._proactive.reopened(run_id)

    def remove(self, run: RunDriver) -> None:
        """A run is over: what comes late for it is nobody's."""
        for run_id in run.run_ids:
            runs = self._runs.get(run_id)
            if runs is not None and run in runs:
                runs.remove(run)
                if not runs:
                    del self._runs[run_id]
                self._proactive.finished(run_id)

    def runs(self) -> list[RunDriver]:
        """All runs under way, each once."""
        return list(dict.fromkeys(run for runs in self._runs.values() for run in runs))

    # Streams and handlers.

    def add_stream(self, stream: EventSink) -> None:
        self._streams.append(stream)

    def remove_stream(self, stream: EventSink) -> None:
        if stream in self._streams:
            self._streams.remove(stream)

    def streams(self) -> list[EventSink]:
        return list(self._streams)

    def add_handler(self, name: str, handler: EventHandler) -> Callable[[], None]:
        """Call handler for every event of this name; returns what ends that."""
        handlers = self._handlers.setdefault(name, [])
        handlers.append(handler)

        def remove() -> None:
            if handler in handlers:
                handlers.remove(handler)

        return remove

    def adopt_handlers(self, other: Router) -> None:
        """Take over the handlers of another router."""
        for name, handlers in other._handlers.items():
            self._handlers.setdefault(name, []).extend(handlers)

    # Frames.

    def on_frame(self, frame: ChatFrame | Event) -> None:
        if isinstance(frame, ChatFrame):
            self._on_chat(frame)
        elif frame.event == "agent":
            self._on_agent(frame)
        elif frame.event == "chat.side_result":
            self._on_side_result(frame)
        if self._streams or self._handlers:
            self._hand_out(frame)

    def _on_chat(self, frame: ChatFrame) -> None:
        payload = frame.payload
        runs = self._runs.get(payload.run_id)
        if runs is not None:
            for run in tuple(runs):
                run.on_chat(payload)
            self._on_use()
            return
        if not self.sessions.accepts(payload.session_key):
            return
        message = self._proactive.receive(payload)
        if message is not None:
            self._on_use()
            self._on_message(message)

    def _on_agent(self, frame: Event) -> None:
        payload = decode_agent(frame)
        if payload is None:
            return
        runs = self._runs.get(payload.run_id)
        if runs is not None:
            for run in tuple(runs):
                run.on_agent(payload)
        elif payload.is_heartbeat:
            self._proactive.heartbeat(payload.run_id)

    def _on_side_result(self, frame: Event) -> None:
        payload = decode_payload(frame.payload)
        if isinstance(payload, dict):
            for run in tuple(self._runs.get(str(payload.get("runId")), ())):
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

    def _permitted(self, frame: ChatFrame | Event) -> bool:
        """Whether an event may be handed out: one that names a session only where that session may."""
        if not self.sessions.restricted:
            return True
        if isinstance(frame, ChatFrame):
            return frame.payload.run_id in self._runs or self.sessions.accepts(frame.payload.session_key)
        payload = frame_payload(frame)
        key = payload.get("sessionKey") if isinstance(payload, dict) else None
        return not isinstance(key, str) or self.sessions.accepts(key)
