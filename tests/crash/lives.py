"""One life of the application, seen from outside: what it does now, and its death."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.crash.application import Plan
from tests.crash.log import now

ROOT = Path(__file__).resolve().parents[2]
ERRORS = "application.err"


class Life:
    """The process. seen: how often it did what."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seen: Counter[str] = Counter()
        self.ended_at = 0.0
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        command = (sys.executable, "-m", "tests.crash.application", self.plan.argument())
        with (Path(self.plan.folder) / ERRORS).open("ab") as errors:
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=errors, cwd=ROOT
            )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            async with self._changed:
                self.seen[json.loads(line)["what"]] += 1
                self._changed.notify_all()
        await self._process.wait()
        async with self._changed:
            self.ended_at = now()
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        return self.ended_at > 0

    async def reach(self, fits: Callable[[], bool], within: float) -> bool:
        """Whether this came to be true before the end of the process and of the time."""
        try:
            async with asyncio.timeout(within), self._changed:
                await self._changed.wait_for(lambda: fits() or self.ended)
        except TimeoutError:
            return False
        return fits()

    async def kill(self) -> bool:
        """SIGKILL; whether it was alive until then."""
        alive = self._process.returncode is None
        if alive:
            self._process.kill()
        await self._reading
        return alive

    async def end(self, within: float) -> int | None:
        """Let it end by itself; its exit code, None where it does not."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self.reach(lambda: False, within)
        return self._process.returncode
