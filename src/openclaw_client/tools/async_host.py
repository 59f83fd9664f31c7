"""The tool host for coroutines."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Self

from openclaw_client.client.callbacks import CallbackQueue
from openclaw_client.client.options import CaFile, Identity, Proxy
from openclaw_client.errors import UsageError
from openclaw_client.errors.frames import without_frames
from openclaw_client.os_threads import start
from openclaw_client.policy.backoff import ReconnectPolicy
from openclaw_client.policy.timeouts import Timeouts, check_time_limit
from openclaw_client.tools.face import DRAIN, HostFace, check_drain, new_registry
from openclaw_client.tools.host import HostCore
from openclaw_client.tools.options import MAX_CONCURRENCY, MAX_RESULT, build_options
from openclaw_client.tools.publication import HostState
from openclaw_client.tools.registry import AnyTool
from openclaw_client.tools.runners import Lane, TaskCallRunner, WorkerPool, run_steps
from openclaw_client.tools.stages import UserOf


class AsyncToolHost(HostFace):
    """Offers Python functions to the agents of one gateway as their tools, for coroutines of one event loop.

    Nothing is opened before `connect()` or `async with`. A gateway takes tools from 2026.8 on. A coroutine runs in the
    loop, a plain function in a thread. One host for each tool name and gateway: where two offer the same name, both
    get other ones; and one process for each host.

    Args:
        url: As for `AsyncGatewayClient`, and so is all that is not named here.
        name: What the host calls itself: shown to models behind each description, and the name of its device's file.
        tools: What it offers; `add` and `@host.tool` add others.
        user_of: Whose a session is: `user_of(session_key) -> user`, plain or async. A tool is offered to all sessions
            of a gateway; a call without a session, or one of a session for which this gives None, is refused. What it
            gives is `ToolCall.user`.
        max_concurrency: Calls at once; others wait in line, within their time limit.
        max_result: Bytes of a result; a larger one becomes an error to the agent, for half of one is worse.
        identity: None for a device of the host's own, in the file `nodes/<name>.json` of the state folder.

    Raises:
        UsageError: The arguments cannot work.
    """

    @without_frames
    def __init__(
        self,
        url: str | None = None,
        *,
        name: str,
        tools: Iterable[AnyTool] = (),
        user_of: UserOf | None = None,
        max_concurrency: int = MAX_CONCURRENCY,
        max_result: int = MAX_RESULT,
        token: str | None = None,
        password: str | None = None,
        device_token: str | None = None,
        identity: Identity = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        reconnect: ReconnectPolicy = ReconnectPolicy(),  # noqa: B008 - frozen
        tls_fingerprint: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: Proxy = None,
        headers: Mapping[str, str] | None = None,
        ca_file: CaFile = None,
    ) -> None:
        options = build_options(
            url,
            name=name,
            user_of=user_of,
            max_concurrency=max_concurrency,
            max_result=max_result,
            coroutines=True,
            token=token,
            password=password,
            device_token=device_token,
            identity=identity,
            timeouts=timeouts,
            reconnect=reconnect,
            tls_fingerprint=tls_fingerprint,
            ssl_context=ssl_context,
            proxy=proxy,
            headers=headers,
            ca_file=ca_file,
        )
        self._pool = WorkerPool(options.max_concurrency)
        runner = TaskCallRunner(
            self._pool.submit, host=options.name, user_of=options.user_of, max_result=options.max_result
        )
        registry = new_registry(tools, coroutines=True)
        self._core = HostCore(options, registry, runner, owner=self, callbacks=CallbackQueue)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def connect(self) -> None:
        """Connect, and return when the tools are published, or when only a person can go on.

        In the latter case `state` is WAITING_FOR_DEVICE or WAITING_FOR_APPROVAL, and `waiting_for` has the command; the
        host goes on as soon as it is approved. Raises what `AsyncGatewayClient.connect` raises but PairingRequired;
        MethodUnavailable for a gateway that takes no tools; RequestFailed where it takes these not. Cancelling it ends
        the attempt, where no other call waits for it. May be called again after any failure and after close().
        """
        self._bind()
        await self._core.connect()

    async def wait_published(self, timeout: float | None = None) -> bool:
        """Wait until the tools are published; False where that took longer than timeout seconds.

        Raises NotConnected before connect() and after close(), and what the host is paused for.
        """
        self._bind()
        if timeout is not None:
            check_time_limit(timeout)
        return await self._core.wait_published(timeout)

    async def run_forever(self) -> None:
        """Connect, and serve until `close()` is called or this is cancelled; then the host is closed.

        Raises what `connect()` raises, and what the host is paused for: credentials that are refused from now on, or
        another process that serves with its device.
        """
        self._bind()
        try:
            await self._core.serve()
        finally:
            await self.close()

    async def close(self, drain: float = DRAIN) -> None:
        """Withdraw the tools, let running calls end within drain seconds, and disconnect.

        New calls are answered that the host is leaving; the gateway tries those again. Never raises for the gateway;
        may be called twice, and before connect(). Cancelling it cuts what still runs: the host is closed all the same.
        """
        check_drain(drain)
        self._bind()
        try:
            await self._core.close(drain)
        finally:
            if self.state is HostState.DISCONNECTED:
                self._pool.end()

    def retry_now(self) -> None:
        """Try at once instead of waiting; also a host that is paused or was replaced. Returns without waiting.

        A host that waits for its approval asks for it again, which helps where its request was rejected.
        """
        self._bind()
        self._core.retry_now()

    async def call(self, name: str, arguments: Mapping[str, Any], *, session_key: str | None = None) -> Any:
        """Call a tool as an agent does, without a gateway: for tests of tools.

        Returns:
            What the function returned.

        Raises:
            ToolError: The arguments do not fit, the call is nobody's, was not approved, or the result cannot be sent.
            UsageError: There is no such tool. What the function raises is raised as it is.
        """
        self._bind()
        steps = self._steps(name, arguments, session_key)
        tool = self._core.registry.find(name)
        plain = tool is not None and not tool.is_coroutine
        return await run_steps(steps, Lane(_in_own_thread) if plain else None)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _changed(self) -> None:
        if self._loop is not None and self.state is not HostState.DISCONNECTED:
            with suppress(RuntimeError):  # the loop is gone
                # Also from the thread of a plain function.
                self._loop.call_soon_threadsafe(self._core.changed)

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None or (self._loop.is_closed() and self.state is HostState.DISCONNECTED):
            self._loop = loop
        elif self._loop is not loop:
            raise UsageError(
                message="this host belongs to another event loop",
                remedy="Make one host per loop, or use ToolHost, which has a loop of its own",
            )


def _in_own_thread(job: Any) -> None:
    start(job, "openclaw-tools-local")
