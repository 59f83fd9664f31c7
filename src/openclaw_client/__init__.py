"""Client for the OpenClaw Gateway, blocking and for asyncio.

::

    from openclaw_client import GatewayClient

    with GatewayClient("ws://127.0.0.1:18789", token="…") as client:
        reply = client.chat_send(session_key="main", message="Hello")
        print(reply.text)
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from openclaw_client import errors
from openclaw_client.version import __version__

if TYPE_CHECKING:
    from openclaw_client.chat.arguments import AbortResult, InjectResult
    from openclaw_client.chat.attachments import Attachment
    from openclaw_client.client.async_client import AsyncGatewayClient
    from openclaw_client.client.async_run import AsyncChatRun
    from openclaw_client.client.diagnosis import Certificate, StageReport
    from openclaw_client.client.events import EventStream, GatewayEvent
    from openclaw_client.client.slow_consumer import SlowConsumer
    from openclaw_client.connection.settings import ClientInfo
    from openclaw_client.connection.supervisor import ConnectionState, StateChange
    from openclaw_client.errors import GatewayError
    from openclaw_client.identity.device import DeviceIdentity
    from openclaw_client.identity.files import FileIdentityStore
    from openclaw_client.identity.store import DeviceToken, IdentityStore, MemoryIdentityStore, SecretIdentityStore
    from openclaw_client.journal.protocol import Journal, PendingRun
    from openclaw_client.journal.sqlite import SqliteJournal
    from openclaw_client.manager.blocking import ConnectionManager
    from openclaw_client.manager.coroutines import AsyncConnectionManager
    from openclaw_client.manager.credentials import ALL_SESSIONS, Credentials
    from openclaw_client.manager.status import ManagerCounters, ManagerStatus, UserConnection
    from openclaw_client.policy.backoff import ReconnectPolicy
    from openclaw_client.policy.timeouts import Timeouts
    from openclaw_client.runs.activity import Activity
    from openclaw_client.runs.answering import SKIP, AnswerOutcome, Answers
    from openclaw_client.runs.events import (
        ApprovalRequested,
        ApprovalResolved,
        ChatReply,
        FileSent,
        QuestionAsked,
        QuestionClosed,
        RawEvent,
        Reconnecting,
        Resumed,
        RunAborted,
        RunCompleted,
        RunDeferred,
        RunErrored,
        RunEvent,
        RunStarted,
        RunStatus,
        SideResult,
        TextAppended,
        TextReplaced,
        ThinkingAppended,
        ToolFinished,
        ToolStarted,
        ToolUpdated,
    )
    from openclaw_client.runs.peer import SentRun
    from openclaw_client.runs.proactive import ProactiveMessage
    from openclaw_client.sync.client import GatewayClient
    from openclaw_client.sync.events import BlockingEventStream
    from openclaw_client.sync.run import ChatRun
    from openclaw_client.tools.async_host import AsyncToolHost
    from openclaw_client.tools.blocking_host import ToolHost
    from openclaw_client.tools.call import ToolCall
    from openclaw_client.tools.changes import HostStateChange
    from openclaw_client.tools.publication import HostState
    from openclaw_client.tools.results import ToolError, ToolResult
    from openclaw_client.tools.tool import Tool, tool
    from openclaw_client.watching.session_list import SessionsChanged
    from openclaw_client.wire.approvals import Approval
    from openclaw_client.wire.files import AgentFile
    from openclaw_client.wire.history import HistoryMessage, HistoryPage, InFlightRun, InputReceipt, PendingInput
    from openclaw_client.wire.questions import Question, QuestionItem, QuestionOption
    from openclaw_client.wire.session_info import SessionInfo
    from openclaw_client.wire.sessions import SessionKey
    from openclaw_client.wire.usage import Usage

# A library says nothing where the program has set up no logging; every error is raised or handed to a handler.
logging.getLogger(__name__).addHandler(logging.NullHandler())

# A program that uses one face pays for one: each name is loaded when it is first asked for.
_HOME = {
    "ALL_SESSIONS": "manager.credentials",
    "AbortResult": "chat.arguments",
    "Activity": "runs.activity",
    "AgentFile": "wire.files",
    "AnswerOutcome": "runs.answering",
    "Answers": "runs.answering",
    "Approval": "wire.approvals",
    "ApprovalRequested": "runs.events",
    "ApprovalResolved": "runs.events",
    "AsyncChatRun": "client.async_run",
    "AsyncConnectionManager": "manager.coroutines",
    "AsyncGatewayClient": "client.async_client",
    "AsyncToolHost": "tools.async_host",
    "Attachment": "chat.attachments",
    "BlockingEventStream": "sync.events",
    "Certificate": "connection.certificate",
    "ChatReply": "runs.events",
    "ChatRun": "sync.run",
    "ClientInfo": "connection.settings",
    "ConnectionManager": "manager.blocking",
    "ConnectionState": "connection.supervisor",
    "Credentials": "manager.credentials",
    "DeviceIdentity": "identity.device",
    "DeviceToken": "identity.store",
    "EventStream": "client.events",
    "FileIdentityStore": "identity.files",
    "FileSent": "runs.events",
    "GatewayClient": "sync.client",
    "GatewayError": "errors",
    "GatewayEvent": "client.events",
    "HistoryMessage": "wire.history",
    "HistoryPage": "wire.history",
    "HostState": "tools.publication",
    "HostStateChange": "tools.changes",
    "IdentityStore": "identity.store",
    "InFlightRun": "wire.history",
    "InjectResult": "chat.arguments",
    "InputReceipt": "wire.history",
    "Journal": "journal.protocol",
    "ManagerCounters": "manager.status",
    "ManagerStatus": "manager.status",
    "MemoryIdentityStore": "identity.store",
    "PendingInput": "wire.history",
    "PendingRun": "journal.protocol",
    "ProactiveMessage": "runs.proactive",
    "Question": "wire.questions",
    "QuestionAsked": "runs.events",
    "QuestionClosed": "runs.events",
    "QuestionItem": "wire.questions",
    "QuestionOption": "wire.questions",
    "RawEvent": "runs.events",
    "ReconnectPolicy": "policy.backoff",
    "Reconnecting": "runs.events",
    "Resumed": "runs.events",
    "RunAborted": "runs.events",
    "RunCompleted": "runs.events",
    "RunDeferred": "runs.events",
    "RunErrored": "runs.events",
    "RunEvent": "runs.events",
    "RunStarted": "runs.events",
    "RunStatus": "runs.events",
    "SKIP": "runs.answering",
    "SecretIdentityStore": "identity.store",
    "SentRun": "runs.peer",
    "SessionInfo": "wire.session_info",
    "SessionKey": "wire.sessions",
    "SessionsChanged": "watching.session_list",
    "SideResult": "runs.events",
    "SlowConsumer": "client.slow_consumer",
    "SqliteJournal": "journal.sqlite",
    "StageReport": "client.diagnosis",
    "StateChange": "connection.supervisor",
    "TextAppended": "runs.events",
    "TextReplaced": "runs.events",
    "ThinkingAppended": "runs.events",
    "Timeouts": "policy.timeouts",
    "Tool": "tools.tool",
    "ToolCall": "tools.call",
    "ToolError": "tools.results",
    "ToolFinished": "runs.events",
    "ToolHost": "tools.blocking_host",
    "ToolResult": "tools.results",
    "ToolStarted": "runs.events",
    "ToolUpdated": "runs.events",
    "Usage": "wire.usage",
    "UserConnection": "manager.status",
    "tool": "tools.tool",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "ALL_SESSIONS",
    "SKIP",
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
]
