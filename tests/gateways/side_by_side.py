"""Runs the tests of real releases, two releases at a time, each in a process of its own.

Knows how pytest is started for one release and how its figures are read. Does not know tests or gateways.

    python -m tests.gateways.side_by_side [RELEASE ...] [-- PYTEST ARGUMENT ...]

A process starts its release once, for all of its tests. What it prints is shown whole when it ends, under the release's
name, and nothing of two releases is mixed. The last line has the sums; the exit code is not zero when anything failed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from .install import CI_RELEASES, InstallFailed, install, release_key

AT_ONCE = 2
"""Releases at the same time: CI machines have two cores, and a gateway keeps one busy."""

TESTS = ("tests/contract", "tests/chaos")

STOP_PATIENCE = 30.0
"""Seconds from SIGTERM to SIGKILL for a test process: it may be removing a gateway's folder."""


_COUNTS = ("tests", "failures", "errors", "skipped")
"""The figures of a suite in a JUnit report."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one release's tests."""

    release: str
    passed: int = 0
    failed: int = 0
    """Errors outside of a test, in fixtures for instance, count as failed."""
    skipped: int = 0
    problem: str = ""
    """Why the figures alone do not tell: the process crashed, or had no test."""
    output: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed and not self.problem

    def line(self) -> str:
        """One line with the figures."""
        problem = f", {self.problem}" if self.problem else ""
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped{problem}"


def outcome_of(release: str, exit_code: int, report: Path) -> Outcome:
    """The figures from pytest's JUnit report. Exit codes: 0 all passed, 1 some failed, 5 no test; others: a crash."""
    outcome = Outcome(release)
    if report.exists() and (text := report.read_text()):
        suites = ElementTree.fromstring(text).iter("testsuite")
        counts = [{name: int(suite.get(name, 0)) for name in _COUNTS} for suite in suites]
        total, failures, errors, skipped = (sum(count[name] for count in counts) for name in _COUNTS)
        passed = total - failures - errors - skipped
        outcome = replace(outcome, passed=passed, failed=failures + errors, skipped=skipped)
    if exit_code == 0 or (exit_code == 1 and outcome.failed):
        return outcome
    return replace(outcome, problem="no test found" if exit_code == 5 else f"ended with exit code {exit_code}")


def closing_line(outcomes: Sequence[Outcome]) -> str:
    """The sums of all releases; a release whose process crashed is named."""
    sums = Outcome(
        "",
        passed=sum(one.passed for one in outcomes),
        failed=sum(one.failed for one in outcomes),
        skipped=sum(one.skipped for one in outcomes),
        problem=", ".join(f"{one.release}: {one.problem}" for one in outcomes if one.problem),
    )
    return sums.line()


def pytest_command(release: str, arguments: Sequence[str]) -> tuple[str, ...]:
    """How the tests of one release are run."""
    python = (sys.executable, "-m", "pytest")
    return (*python, *TESTS, "--gateways=real", f"--release={release}", *arguments)


class SideBySide:
    """Runs one command per release, `AT_ONCE` at a time."""

    def __init__(self, command: Callable[[str, Sequence[str]], Sequence[str]] = pytest_command) -> None:
        self._command = command
        self._running: set[subprocess.Popen[Any]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(
        self, releases: Sequence[str], arguments: Sequence[str], tell: Callable[[Outcome], None]
    ) -> tuple[Outcome, ...]:
        """The outcome of every release, in the order given. `tell` gets each when it is there."""
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            futures = {pool.submit(self._one, release, tuple(arguments)): release for release in releases}
            done: dict[str, Outcome] = {}
            for future in as_completed(futures):
                done[futures[future]] = outcome = future.result()
                tell(outcome)
            return tuple(done[release] for release in releases)
        finally:
            self._stop()
            pool.shutdown(cancel_futures=True)

    def _one(self, release: str, arguments: tuple[str, ...]) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="openclaw-tests-") as folder:
            report, output = Path(folder) / "report.xml", Path(folder) / "output"
            command = (*self._command(release, arguments), f"--junitxml={report}")
            began = time.monotonic()
            with output.open("wb") as file:
                exit_code = self._wait_for(command, file)
            outcome = outcome_of(release, exit_code, report)
            text = output.read_text(errors="replace")
            return replace(outcome, output=text, seconds=time.monotonic() - began)

    def _wait_for(self, command: Sequence[str], output: Any) -> int:
        with self._lock:
            if self._stopped:
                raise KeyboardInterrupt
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)

    def _stop(self) -> None:
        """End what still runs; its gateways end with it."""
        with self._lock:
            self._stopped = True
            running = tuple(self._running)
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(STOP_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def arguments_of(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Releases and pytest's arguments. Raises `ValueError` for a word that is no release, or one that comes twice."""
    at = words.index("--") if "--" in words else len(words)
    releases, rest = words[:at], words[at + 1 :]
    for release in releases:
        release_key(release)
    if len(set(releases)) != len(releases):
        raise ValueError(f"a release is named twice: {' '.join(releases)}")
    return tuple(releases) or CI_RELEASES, tuple(rest)


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    try:
        releases, arguments = arguments_of(sys.argv[1:] if words is None else words)
        install(releases)
        outcomes = SideBySide().run(releases, arguments, _print)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (ValueError, InstallFailed) as error:
        print(error, file=sys.stderr)
        return 2
    for outcome in outcomes:
        print(f"{outcome.release}: {outcome.line()} in {outcome.seconds:.0f} s")
    print(closing_line(outcomes), flush=True)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def _print(outcome: Outcome) -> None:
    bar = "=" * 20
    print(f"{bar} {outcome.release} {bar}\n{outcome.output.rstrip()}\n", flush=True)


if __name__ == "__main__":
    # SIGINT too: a shell without job control starts background commands with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
