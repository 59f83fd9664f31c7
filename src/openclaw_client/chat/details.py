"""What a reply took and which files came with it: looked up in the history, behind the end of its run.

Knows how long that may take, and what ends it. Refuses to know what a page says, see `runs.details`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from openclaw_client.chat.history_pages import RUN_PAGE
from openclaw_client.chat.methods import ChatMethods
from openclaw_client.errors import GatewayError
from openclaw_client.logs import GuardedLogger
from openclaw_client.runs.details import DetailsSearch, Found, ReplyDetails
from openclaw_client.runs.peer import Peer
from openclaw_client.runs.rows import reaches
from openclaw_client.wire.limits import MAX_HISTORY_LIMIT

logger = GuardedLogger("openclaw_client.chat")

MakeSearch = Callable[[Peer], DetailsSearch]


class LookUps:
    """Those of one client that are under way. On the loop's thread."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        # A dict, as an empty set takes three times its room, in each of many connections at rest.
        self._open: dict[LookUp, None] = {}

    @property
    def active(self) -> int:
        """From any thread."""
        return len(self._open)

    def begin(
        self, methods: ChatMethods, search: MakeSearch, limit: float | None, done: Callable[[ReplyDetails], None]
    ) -> LookUp:
        """Look something up within so many seconds, and within the limit of a request; done is called once, with what
        was found."""
        made = LookUp(methods, search, done, self._open)
        made.start(limit)
        return made

    def stop(self) -> None:
        """The client is closed: end all with what was found."""
        for one in tuple(self._open):
            one.finish()

    def after_fork(self) -> None:
        """In a forked child: the tasks are the parent's, and are left alone."""
        for one in tuple(self._open):
            one.tell()


class LookUp:
    """One reply's details."""

    __slots__ = ("_done", "_found", "_methods", "_open", "_search", "_task", "_told")

    def __init__(
        self,
        methods: ChatMethods,
        search: MakeSearch,
        done: Callable[[ReplyDetails], None],
        among: dict[LookUp, None],
    ) -> None:
        self._methods = methods
        self._search = search
        self._done = done
        self._open = among
        self._found = ReplyDetails()
        self._told = False
        self._task: asyncio.Task[None]

    def start(self, limit: float | None) -> None:
        self._open[self] = None
        self._task = asyncio.get_running_loop().create_task(self._run(limit), name="openclaw-details")

    def finish(self) -> None:
        """End it now, with what was found."""
        self._task.cancel()
        self.tell()

    def tell(self) -> None:
        """End it, with what was found; only the first call counts."""
        self._open.pop(self, None)
        if not self._told:
            self._told = True
            self._done(self._found)

    async def _run(self, limit: float | None) -> None:
        limits = [seconds for seconds in (limit, self._methods.request_limit) if seconds is not None]
        try:
            async with asyncio.timeout(min(limits, default=None)):
                await self._look()
        except (GatewayError, TimeoutError) as error:
            # The reply is whole without.
            logger.debug("what a reply took cannot be looked up: %s", type(error).__name__)
        finally:
            self.tell()

    async def _look(self) -> None:
        connection = await self._methods.requests.ready(None)
        search = self._search(self._methods.peer(connection))
        found = await self._page(search)
        for pause in search.pauses():
            if found.settled:
                break
            await asyncio.sleep(pause)
            found = await self._page(search)

    async def _page(self, search: DetailsSearch) -> Found:
        """What the last rows say; all that the gateway gives where those do not go back far enough."""
        page = await self._methods.page(search.session_key, RUN_PAGE)
        if len(page.messages) >= RUN_PAGE and not reaches(page, search.question):
            page = await self._methods.page(search.session_key, MAX_HISTORY_LIMIT)
        found = search.look(page)
        self._found = found.details
        return found
