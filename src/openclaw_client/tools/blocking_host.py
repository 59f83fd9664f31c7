"""The tool host for threads: the names of `AsyncToolHost` without await."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Self

from openclaw_client.client.options import CaFile, Identity, Proxy
from openclaw_client.errors.frames import without_frames
from openclaw_client.logs import GuardedLogger
from openclaw_client.policy.backoff import ReconnectPolicy
from openclaw_client.policy.timeouts import Timeouts, check_time_limit
from openclaw_client.sync.callbacks import HandlerExecutor, ThreadCallbacks
from openclaw_client.sync.loop_thread import LoopThread, loop_thread
from openclaw_client.sync.unpatched import greenlets
from openclaw_client.tools.face import DRAIN, HostFace, check_drain, new_registry
from openclaw_client.tools.host import HostCore
from openclaw_client.tools.options import MAX_CONCURRENCY, MAX_RESULT, HostOptions, build_options
from openclaw_client.tools.publication import HostState
from openclaw_client.tools.registry import AnyTool, Registry
from openclaw_client.tools.runners import ThreadCallRunner, WorkerPool
from openclaw_client.tools.stages import UserOf, run_blocking

logger = GuardedLogger("openclaw_client.tools")


class ToolHost(HostFace):
    """Offers Python functions to the agents of one gateway as their tools.

    Nothing is opened and no thread is started before `connect()` or `with`. Functions run in threads of this host's
    own, as many as `max_concurrency`; none may be `async def`. The parameters are those of `AsyncToolHost`. A forked
    child does not serve: its tools would take the names of its parent's. Raises UsageError for arguments that cannot
    work.
    """

    _coroutines = False

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
            coroutines=False,
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
        self._set_up(options, new_registry(tools, coroutines=False))

    def _set_up(self, options: HostOptions, registry: Registry) -> None:
        self._pool = WorkerPool(options.max_concurrency)
        self._executor = HandlerExecutor()
        runner = ThreadCallRunner(
            self._submit, host=options.name, user_of=options.user_of, max_result=options.max_result
        )
        callbacks = partial(ThreadCallbacks, self._executor)
        self._core = HostCore(options, registry, runner, owner=self, callbacks=callbacks)
        self._thread: LoopThread | None = None

    def connect(self) -> None:
        """Connect, and return when the tools are published, or when only a person can go on.

        In the latter case `state` is WAITING_FOR_DEVICE or WAITING_FOR_APPROVAL, and `waiting_for` has the command; the
        host goes on as soon as it is approved. Raises what `GatewayClient.connect` raises but PairingRequired;
        MethodUnavailable for a gateway that takes no tools; RequestFailed where it takes these not. Ctrl-C ends the
        attempt, where no other call waits for it. May be called again after any failure and after close().
        """
        self._loop_thread().call(self._core.connect, "connect")

    def wait_published(self, timeout: float | None = None) -> bool:
        """Wait until the tools are published; False where that took longer than timeout seconds.

        Raises NotConnected before connect() and after close(), and what the host is paused for.
        """
        if timeout is not None:
            check_time_limit(timeout)
        return self._loop_thread().call(lambda: self._core.wait_published(timeout), "wait_published")

    def run_forever(self) -> None:
        """Connect, and serve until `close()` is called or Ctrl-C comes; then the host is closed.

        Raises what `connect()` raises, and what the host is paused for: credentials that are refused from now on, or
        another process that serves with its device.
        """
        try:
            self._loop_thread().call(self._core.serve, "run_forever")
        finally:
            self.close()

    def close(self, drain: float = DRAIN) -> None:
        """Withdraw the tools, let running calls end within drain seconds, and disconnect.

        New calls are answered that the host is leaving; the gateway tries those again. Never raises for the gateway;
        may be called twice, before connect(), and from any thread but the loop's. Ctrl-C cuts what still runs: the
        host is closed all the same.
        """
        check_drain(drain)
        if self._thread is not None:
            self._thread.close(lambda: self._close(drain), "close")

    def retry_now(self) -> None:
        """Try at once instead of waiting; also a host that is paused or was replaced. Returns without waiting.

        A host that waits for its approval asks for it again, which helps where its request was rejected.
        """
        self._loop_thread().soon("retry_now", self._core.retry_now)

    def call(self, name: str, arguments: Mapping[str, Any], *, session_key: str | None = None) -> Any:
        """Call a tool as an agent does, without a gateway and in this thread: for tests of tools.

        Returns:
            What the function returned.

        Raises:
            ToolError: The arguments do not fit, the call is nobody's, was not approved, or the result cannot be sent.
            UsageError: There is no such tool. What the function raises is raised as it is.
        """
        return run_blocking(self._steps(name, arguments, session_key))

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def _close(self, drain: float) -> None:
        try:
            await self._core.close(drain)
        finally:
            if self.state is HostState.DISCONNECTED:
                self._pool.end()

    def _submit(self, job: Callable[[], None], /) -> None:
        """Run a function: in a thread of this host, or under gevent in a greenlet, as handlers do."""
        if greenlets():
            self._executor.submit(job)
        else:
            self._pool.submit(job)

    def _changed(self) -> None:
        thread = self._thread
        if thread is not None and not thread.closing:
            thread.soon("add", self._core.changed)

    def _loop_thread(self) -> LoopThread:
        if self._thread is None:
            thread = loop_thread()
            thread.adopt(self)
            self._executor.settle()
            self._thread = thread
        return self._thread

    async def _leave(self) -> None:
        """The process ends."""
        await self._core.close(0)

    def _forked(self) -> None:
        """This is a forked child: it does not serve, and can be connected by itself."""
        old = self._core
        served = old.state is not HostState.DISCONNECTED
        # The lock of the old one may be held by a thread that is not here.
        self._set_up(old.options, new_registry(old.registry.tools, coroutines=False))
        self._core.handlers = old.handlers
        old.after_fork()
        if served:
            logger.warning("the tool host %s serves in the process that was forked, and not in this one", self.name)
