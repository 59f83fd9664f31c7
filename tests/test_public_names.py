"""What must not drift: the public names, the two faces against each other, and what importing the package does."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import openclaw_client
from openclaw_client import errors
from tests import public_names

NAMES = {
    "ALL_SESSIONS",
    "AbortResult",
    "Activity",
    "AgentFile",
    "AnswerOutcome",
    "Answers",
    "Approval",
    "ApprovalRequested",
    "ApprovalResolved",
    "AsyncChatRun",
    "AsyncConnectionManager",
    "AsyncGatewayClient",
    "AsyncToolHost",
    "Attachment",
    "BlockingEventStream",
    "Certificate",
    "ChatReply",
    "ChatRun",
    "ClientInfo",
    "ConnectionManager",
    "ConnectionState",
    "Credentials",
    "DeviceIdentity",
    "DeviceToken",
    "EventStream",
    "FileIdentityStore",
    "FileSent",
    "GatewayClient",
    "GatewayError",
    "GatewayEvent",
    "HistoryMessage",
    "HistoryPage",
    "HostState",
    "HostStateChange",
    "IdentityStore",
    "InFlightRun",
    "InjectResult",
    "InputReceipt",
    "Journal",
    "ManagerCounters",
    "ManagerStatus",
    "MemoryIdentityStore",
    "PendingInput",
    "PendingRun",
    "ProactiveMessage",
    "Question",
    "QuestionAsked",
    "QuestionClosed",
    "QuestionItem",
    "QuestionOption",
    "RawEvent",
    "ReconnectPolicy",
    "Reconnecting",
    "Resumed",
    "RunAborted",
    "RunCompleted",
    "RunDeferred",
    "RunErrored",
    "RunEvent",
    "RunStarted",
    "RunStatus",
    "SKIP",
    "SecretIdentityStore",
    "SentRun",
    "SessionInfo",
    "SessionKey",
    "SessionsChanged",
    "SideResult",
    "SlowConsumer",
    "SqliteJournal",
    "StageReport",
    "StateChange",
    "TextAppended",
    "TextReplaced",
    "ThinkingAppended",
    "Timeouts",
    "Tool",
    "ToolCall",
    "ToolError",
    "ToolFinished",
    "ToolHost",
    "ToolResult",
    "ToolStarted",
    "ToolUpdated",
    "Usage",
    "UserConnection",
    "__version__",
    "errors",
    "tool",
}
CLIENT_NAMES = (
    "connect disconnect close state connected user idle_seconds hello negotiated_protocol chat_send chat_stream "
    "chat_history chat_abort chat_inject request events on on_proactive_message on_fatal_close on_state_change "
    "on_slow_consumer"
)
RUN_NAMES = "text_stream result run_id text abort"
MANAGER_NAMES = (
    "connection_for disconnect disconnect_all user_connected connected_count status on_proactive_message "
    "on_fatal_close close"
)
CONSTRUCTOR = (
    "url token password device_token user identity sessions role scopes caps timeouts reconnect tls_fingerprint "
    "ssl_context proxy headers client_info ca_file on_approval on_question answers application journal"
)


def test_the_public_names() -> None:
    assert set(openclaw_client.__all__) == NAMES
    assert len(openclaw_client.__all__) == len(NAMES)
    assert [name for name in openclaw_client.__all__ if not hasattr(openclaw_client, name)] == []


def test_every_error_is_exported() -> None:
    classes = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert set(errors.__all__) == classes


@pytest.mark.parametrize("name", ["EmbeddedGateway"])
def test_the_names_of_the_testing_package(name: str) -> None:
    assert hasattr(importlib.import_module("openclaw_client.testing"), name)


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        ("GatewayClient", CLIENT_NAMES),
        ("AsyncGatewayClient", CLIENT_NAMES),
        ("ChatRun", RUN_NAMES),
        ("AsyncChatRun", RUN_NAMES),
        ("ConnectionManager", MANAGER_NAMES),
        ("AsyncConnectionManager", MANAGER_NAMES),
    ],
)
def test_the_promised_names_of_a_class(owner: str, names: str) -> None:
    promised = set(names.split())
    if owner.endswith("ChatRun"):
        promised.remove("run_id")  # an attribute of the object
    assert promised <= set(dir(getattr(openclaw_client, owner)))


def test_the_parameters_of_a_client_stand_in_the_promised_order_and_only_the_url_by_position() -> None:
    parameters = list(inspect.signature(openclaw_client.GatewayClient).parameters.values())
    assert [parameter.name for parameter in parameters] == CONSTRUCTOR.split()
    assert parameters[0].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert {parameter.kind for parameter in parameters[1:]} == {inspect.Parameter.KEYWORD_ONLY}


# The stored list of everything that is public.


def test_nothing_that_is_public_is_gone_or_changed() -> None:
    gone = public_names.stored() - public_names.facts()
    assert sorted(gone) == [], "give it back, or an alias"
    assert public_names.needs_more(public_names.facts() - public_names.stored(), public_names.stored()) == set()


def test_everything_that_is_public_is_on_the_list() -> None:
    new = public_names.facts() - public_names.stored()
    assert sorted(new) == [], "add it with `python -m tests.public_names`"


class Before:
    def __init__(self, url: str, *, token: str | None = None) -> None:
        self.user = None

    def send(self, text: str, timeout: float = 30.0) -> str: ...
    def close(self) -> None: ...
    @property
    def state(self) -> str: ...
    def _hidden(self) -> None: ...


class Grown(Before):
    def __init__(self, url: str, *, token: str | None = None, proxy: str | None = None) -> None:
        self.user = self.more = None

    def send(self, text: str, timeout: float = 30.0, retry: bool = False) -> str: ...
    def another(self, text: str) -> None: ...


class Changed(Before):
    def __init__(self, url: str, *, token: str) -> None: ...
    def send(self, text: str, timeout: float = 60.0) -> str: ...
    async def close(self) -> None: ...  # type: ignore[override]
    def state(self) -> str: ...  # type: ignore[override]


class Demanding(Before):
    def send(self, text: str, timeout: float = 30.0, *, key: str) -> str: ...  # type: ignore[override]


@pytest.mark.parametrize(
    ("after", "gone", "needed"),
    [
        (Grown, set(), set()),
        (
            Changed,
            {
                "X(token: str | None = None)",
                "X.send(timeout: float = 30.0) [1]",
                "X.close -> None",
                "X.state: property -> str",
            },
            {"X(token: str)"},
        ),
        (Demanding, set(), {"X.send(key: str)"}),
    ],
)
def test_a_change_that_breaks_a_caller_is_found(
    after: type[Any], gone: set[str], needed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_names, "PACKAGE", __name__)
    old, new = (set(public_names.of_class("X", kind)) for kind in (Before, after))
    assert {"X(url: str) [0]", "X.user: attribute", "X.close -> None"} <= old
    assert old - new == gone
    assert public_names.needs_more(new - old, old) == needed


# The two faces.

FACES = [
    ("GatewayClient", "AsyncGatewayClient"),
    ("ChatRun", "AsyncChatRun"),
    ("BlockingEventStream", "EventStream"),
    ("ConnectionManager", "AsyncConnectionManager"),
]
MADE_BY_THE_CALLER = {"GatewayClient"}
# Python's own names for the same thing.
TWINS = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}
# Called by other modules of the package, not by users; `put` and `end` are how the two faces' drivers hand events over.
INTERNAL = {"put", "end", "wants"}
INTERNAL_MARK = "Not for users"


def public(kind: type[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in vars(kind).items():
        internal = name in INTERNAL or INTERNAL_MARK in (getattr(value, "__doc__", None) or "")
        special = name in TWINS or name in TWINS.values()
        if special or not (name.startswith("_") or internal):
            found[TWINS.get(name, name)] = value
    return found


def shape(value: Any) -> object:
    """Names, kinds, defaults and annotations of parameters; or that it is no function."""
    if not inspect.isfunction(value):
        return type(value)
    parameters = inspect.signature(value).parameters.values()
    return [(one.name, one.kind, one.default, one.annotation) for one in parameters if one.name != "self"]


def differences(blocking: type[Any], coroutines: type[Any]) -> Iterator[str]:
    left, right = public(blocking), public(coroutines)
    yield from sorted(f"{name} on one face only" for name in left.keys() ^ right.keys())
    for name in left.keys() & right.keys():
        if shape(left[name]) != shape(right[name]):
            yield f"{name}: {shape(left[name])} against {shape(right[name])}"
        if inspect.iscoroutinefunction(left[name]):
            yield f"{name} is a coroutine on the blocking face"


@pytest.mark.parametrize(("blocking", "coroutines"), FACES)
def test_the_faces_are_the_same(blocking: str, coroutines: str) -> None:
    left, right = getattr(openclaw_client, blocking), getattr(openclaw_client, coroutines)
    assert list(differences(left, right)) == []
    if blocking in MADE_BY_THE_CALLER:
        assert shape(left.__init__) == shape(right.__init__)


class Left:
    def same(self, a: int, *, b: str = "x") -> None: ...
    def order(self, a: int, b: int) -> None: ...
    def default(self, *, timeout: float | None = None) -> None: ...
    def kind(self, a: int) -> None: ...
    def kept(self) -> None: ...
    def hidden(self) -> None:
        """Not for users."""

    def __enter__(self) -> None: ...


class Right:
    async def same(self, a: int, *, b: str = "x") -> None: ...
    async def order(self, b: int, a: int) -> None: ...
    async def default(self, *, timeout: float | None = 30) -> None: ...
    async def kind(self, *, a: int) -> None: ...
    async def __aenter__(self) -> None: ...
    def put(self) -> None: ...


def test_a_difference_between_faces_is_found() -> None:
    found = {line.split(":")[0] for line in differences(Left, Right)}
    assert found == {"order", "default", "kind", "kept on one face only"}
    assert "same is a coroutine on the blocking face" in set(differences(Right, Right))


# Importing. Each look is a process of its own, with a folder of its own for compiled code.

BASE = "import picows, msgspec"
PACKAGE = "import openclaw_client"
CLIENTS = "from openclaw_client import AsyncGatewayClient, GatewayClient"
LOADED = "import sys; before = set(sys.modules); {}; print(*(sys.modules.keys() - before))"
MORE = 10
"""Modules of the standard library that the clients load and what they are built on does not: 7 on Python 3.11."""

WATCHED = """
import os, sys
seen = []
def watch(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        seen.append(f"open {{args[0]}}")
    elif event.split(".")[0] in ("socket", "subprocess", "_thread", "shutil", "tempfile") or event == "os.mkdir":
        seen.append(event)
sys.addaudithook(watch)
{code}
import threading
seen += [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
seen += sorted({{"cryptography", "rich", "uvloop", "websockets", "openclaw_client.testing"}} & sys.modules.keys())
print("\\n".join(seen))
"""


@pytest.fixture
def python(tmp_path: Path) -> Any:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTHON"))}
    env["PYTHONPYCACHEPREFIX"] = str(tmp_path / "compiled")

    def run(code: str) -> str:
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def loaded(python: Any) -> Any:
    """What a line loads: the package's own modules, and those that it is not built on."""

    def both(code: str) -> tuple[set[str], set[str]]:
        base, ours = (set(python(LOADED.format(line)).split()) for line in (BASE, code))
        own = {name for name in ours if name.partition(".")[0] == "openclaw_client"}
        return own, ours - base - own

    return both


def test_importing_the_package_loads_its_errors_and_version_only(loaded: Any) -> None:
    own, others = loaded(PACKAGE)
    assert {name.split(".")[1] for name in own if "." in name} == {"errors", "version"}
    assert others == set()


def test_importing_the_clients_loads_little_more_than_what_they_are_built_on(loaded: Any) -> None:
    _, others = loaded(CLIENTS)
    assert {name.partition(".")[0] for name in others} <= sys.stdlib_module_names
    assert len(others) <= MORE, sorted(others)


def test_a_heavy_import_is_seen(loaded: Any) -> None:
    _, others = loaded("import openclaw_client, cryptography, sqlite3")
    assert {"cryptography", "sqlite3"} <= others


@pytest.mark.parametrize("code", [PACKAGE, CLIENTS])
def test_importing_opens_nothing_starts_nothing_and_loads_no_heavy_module(python: Any, code: str) -> None:
    # Once unwatched, so that the compiled files are there.
    python(WATCHED.format(code=code))
    assert python(WATCHED.format(code=code)) == ""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import socket; socket.socket()", "socket.__new__"),
        ("open(os.devnull, 'w')", "open /dev/null"),
        ("os.open(os.devnull, os.O_RDWR)", "open /dev/null"),
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True, name='T').start()", "T"),
        ("import cryptography", "cryptography"),
    ],
)
def test_the_watch_over_the_import_sees_what_it_is_for(python: Any, code: str, said: str) -> None:
    assert said in python(WATCHED.format(code=code)).splitlines()
