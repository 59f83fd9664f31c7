"""The embedded gateway: in an `async with` on this loop, in a `with` on a thread of its own."""

from __future__ import annotations

from types import TracebackType

from openclaw_client.testing.blocking import BlockingEmbeddedGateway
from openclaw_client.testing.server import DEFAULT_TOKEN, GatewayServer

__all__ = ["DEFAULT_TOKEN", "EmbeddedGateway"]


class EmbeddedGateway(GatewayServer):
    """A gateway in this process.

        async with EmbeddedGateway() as gateway:
            gateway.url, gateway.token

    agent: an async generator function that gets a `Turn` and yields text; `scripts.echo` by default. token, password:
    the shared secret; a password makes it a gateway with password auth. auth: "none" for one without. protocol: 3 or 4
    (the newest known release of it), release: a release by name ("2026.2.17"). auto_approve: whether clients count as
    local, so that new devices are paired silently; without it every device must be approved, and a client without a
    device has no scopes. max_attempts, lockout: wrong credentials until all connects are refused for `lockout` seconds
    (None: no limit). busy: what becomes of a message that meets a running run, where it should differ from the release.
    tool_search: whether agents see tools of nodes through a search only, where it should differ from the release.
    settle_time: how long a session stays busy behind the final of a run, approval_seconds: after how long a request for
    an approval expires, where they should differ from the release; question_seconds: the same of questions.
    ticket_seconds: for how long the link of a file is of use. These, throttle, tick_interval, ping_interval and
    handshake_timeout are in seconds.

    Not for several threads: see `BlockingEmbeddedGateway`. Raises UsageError for parameters that no gateway has.
    """

    _blocking: BlockingEmbeddedGateway | None = None

    def __enter__(self) -> BlockingEmbeddedGateway:
        """`with EmbeddedGateway() as gateway:` is the blocking form, in a thread of its own."""
        self._blocking = BlockingEmbeddedGateway.around(self)
        return self._blocking.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._blocking is not None:
            self._blocking.close()
            self._blocking = None
