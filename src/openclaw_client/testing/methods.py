"""The methods that the embedded gateway serves: which there are, and the order in which a request is checked.

Knows the order of the checks (scope, method, parameters). What is performed stands in the families, one file each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Final

import msgspec

from openclaw_client.logs import GuardedLogger
from openclaw_client.protocol.server import RequestReceived
from openclaw_client.testing.callers import Caller, MethodError, Params, Switchboard
from openclaw_client.testing.chat import Chat
from openclaw_client.testing.families.agent import AgentRuns
from openclaw_client.testing.families.asked import asked_methods
from openclaw_client.testing.families.chat import chat_methods
from openclaw_client.testing.families.compaction import Compaction
from openclaw_client.testing.families.devices import Devices
from openclaw_client.testing.families.empty import EmptyAnswers
from openclaw_client.testing.families.files import Files
from openclaw_client.testing.families.nodes import NodeMethods
from openclaw_client.testing.families.session_changes import SessionChanges
from openclaw_client.testing.families.sessions import Sessions
from openclaw_client.testing.families.suggestions import suggestion_methods
from openclaw_client.testing.families.system import System
from openclaw_client.testing.families.tasks import Tasks
from openclaw_client.testing.families.upgrades import Upgrades
from openclaw_client.testing.families.usage import UsageReports
from openclaw_client.testing.files import Tickets
from openclaw_client.testing.history import History
from openclaw_client.testing.memory import Memory
from openclaw_client.testing.method_schema import method_rules
from openclaw_client.testing.pairing import allows
from openclaw_client.testing.registry import ADMIN, WRITE, Method, TwoAnswers, joined, missing_scope
from openclaw_client.testing.release_methods import NODE_ROLE, named_in_hello, scopes_of
from openclaw_client.testing.runs import Runs
from openclaw_client.testing.schema import complaint
from openclaw_client.testing.traits import Profile

_log = GuardedLogger(__name__)

COVERED_BY_WRITE: Final = frozenset({"operator.talk", "operator.sessions.write"})
"""Scopes of newer releases for what took operator.write before, and still does."""


class Methods:
    """Performs requests. custom: methods of a test, by name; they come before the gateway's own, at any time."""

    def __init__(
        self,
        profile: Profile,
        memory: Memory,
        runs: Runs,
        board: Switchboard,
        custom: Mapping[str, Method],
        tickets: Tickets,
    ) -> None:
        self._profile = profile
        self._nodes = runs.nodes
        self._rules = method_rules(profile)
        self._custom = custom
        self._real = scopes_of(profile)
        self._named = named_in_hello(profile)
        chat = Chat(profile, memory.transcripts, runs, board)
        history = History(profile, memory.transcripts, runs.roster)
        self.system = System(profile, memory, board)
        tasks = Tasks(board)
        self.upgrades = Upgrades(memory, board, widens=profile.widens_requests)
        families = (
            chat_methods(chat, history),
            tasks.methods(),
            AgentRuns(profile, memory.transcripts, runs, chat, tasks).methods(),
            Sessions(profile, history, runs, board).methods(),
            SessionChanges(memory.transcripts, runs, history.rows, board).methods(),
            EmptyAnswers(history).methods(),
            self.system.methods(),
            Devices(profile, memory.pairing, board).methods(),
            asked_methods(runs.asked),
            NodeMethods(profile, memory, runs.nodes, board).methods(),
            self.upgrades.methods(),
            suggestion_methods(),
            Compaction(memory.transcripts, runs, board).methods(),
            UsageReports(memory.transcripts).methods(),
            Files(profile, memory.transcripts, tickets).methods(),
        )
        self._own = {name: one for name, one in joined(families).items() if name in self._rules}
        self._tasks: set[asyncio.Task[None]] = set()

    def advertised(self) -> list[str]:
        """`features.methods` of hello-ok."""
        return sorted({*self._custom, *self._named.intersection(self._own)})

    def perform(self, caller: Caller, request: RequestReceived) -> None:
        """Check and do; the answer is sent from here, at once or when it is known."""
        try:
            method = self._allowed(caller, request)
            params = self._checked(request)
            result = method.perform(caller, params)
        except Exception as error:  # noqa: BLE001 - a handler may be user code: whatever it raises is an answer
            self._refuse(caller, request, error)
            return
        if isinstance(result, TwoAnswers):
            self._answer(caller, request, result.first)
            result = result.second
        if isinstance(result, Awaitable):
            task = asyncio.ensure_future(self._later(caller, request, result))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._answer(caller, request, result)

    async def _later(self, caller: Caller, request: RequestReceived, result: Awaitable[Any]) -> None:
        try:
            payload = await result
        except Exception as error:  # noqa: BLE001 - as above
            self._refuse(caller, request, error)
        else:
            self._answer(caller, request, payload)

    def _answer(self, caller: Caller, request: RequestReceived, payload: Any) -> None:
        try:
            raw = msgspec.Raw(msgspec.json.encode(payload))
        except (TypeError, ValueError) as error:
            self._refuse(caller, request, error)
        else:
            caller.respond(request.id, raw)

    def _refuse(self, caller: Caller, request: RequestReceived, error: Exception) -> None:
        if isinstance(error, MethodError):
            caller.respond(request.id, error.payload, error.error)
            return
        # What the real ones answer when a method of theirs throws.
        _log.warning("the handler of %s raised", request.method, exc_info=error)
        failed = MethodError(f"{type(error).__name__}: {error}", code="UNAVAILABLE")
        caller.respond(request.id, None, failed.error)

    async def stop(self) -> None:
        """Leave the requests that wait for something unanswered."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _allowed(self, caller: Caller, request: RequestReceived) -> Method:
        """The method, unless the caller lacks its scope, or it is not served here."""
        name = request.method
        method = self._custom.get(name) or self._own.get(name)
        scope = self._real.get(name, ADMIN)
        # One role may call what the other may not, and both may ask for the health.
        if name != "health" and (caller.role == NODE_ROLE) is not (scope == NODE_ROLE):
            raise MethodError(f"unauthorized role: {caller.role}")
        if caller.role == NODE_ROLE:
            if self._profile.node_tools:
                self._nodes.owned(caller)
        elif method is not None:
            self._check_scope(caller, method.needs(request.params))
        else:
            self._check_scope(caller, scope)
        if method is not None:
            return method
        if name in self._real:
            raise MethodError(f"the embedded gateway does not serve {name}; register it with gateway.method()")
        raise MethodError(f"unknown method: {name}")

    def _check_scope(self, caller: Caller, needed: str | None) -> None:
        if needed is None or allows(caller.scopes, needed):
            return
        if needed in COVERED_BY_WRITE and allows(caller.scopes, WRITE):
            return
        raise missing_scope(needed, [needed], forbidden=self._profile.forbidden)

    def _checked(self, request: RequestReceived) -> Params:
        method, params = request.method, request.params
        params = {} if params is None else params
        if method in self._custom:
            return params if isinstance(params, dict) else {}
        if self._profile.mutation_target and method == "chat.send":
            key = params.get("sessionKey") if isinstance(params, dict) else None
            if not isinstance(key, str) or not key:
                details = {"code": "SESSION_MUTATION_TARGET_REQUIRED", "method": method}
                raise MethodError("session mutation target is unavailable", details=details)
        rule = self._rules[method]
        wrong = complaint(rule, params, verbose=self._profile.verbose_schema) if rule is not None else ""
        if wrong:
            raise MethodError(f"invalid {method} params: {wrong}")
        return params if isinstance(params, dict) else {}
