"""Workers of a process whose system has no more threads: what could be started is counted, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from openclaw_client import os_threads
from openclaw_client.os_threads import Workers

MOMENT = 10.0
"""Seconds after which a job that should have run is missing."""


class System:
    """Starts threads while it has any."""

    def __init__(self, start: Callable[..., None]) -> None:
        self.start, self.left = start, 0

    def __call__(self, target: Callable[[], object], name: str) -> None:
        if self.left <= 0:
            raise RuntimeError("can't start new thread")
        self.left -= 1
        self.start(target, name)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    system = System(os_threads.start)
    monkeypatch.setattr(os_threads, "start", system)
    return system


@pytest.fixture
def held() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def ran(workers: Workers) -> bool:
    done = threading.Event()
    workers.submit(done.set)
    return done.wait(MOMENT)


def test_where_there_is_no_thread_at_all_the_caller_is_told_and_the_next_one_is_served(system: System) -> None:
    workers, lost = Workers("test", 2), threading.Event()
    with pytest.raises(RuntimeError, match="new thread"):
        workers.submit(lost.set)
    system.left = 1
    assert ran(workers)
    assert not lost.is_set(), "whoever was told that it failed does not see it run"


def test_a_job_waits_for_the_workers_that_there_are(system: System, held: threading.Event) -> None:
    workers = Workers("test", 2)
    system.left = 1
    workers.submit(held.wait)
    done = threading.Event()
    workers.submit(done.set)
    assert not done.is_set()
    held.set()
    assert done.wait(MOMENT)


def test_a_thread_that_did_not_start_takes_no_other_s_place(system: System, held: threading.Event) -> None:
    workers = Workers("test", 2)
    system.left = 1
    workers.submit(held.wait)
    second = threading.Event()
    workers.submit(second.set)
    system.left = 1
    assert ran(workers), "the second of two workers"
    assert second.is_set()


def test_held_up_workers_are_joined_by_more_when_the_system_has_threads_again(
    system: System, held: threading.Event
) -> None:
    workers = Workers("test", 1, most=2)
    system.left = 1
    workers.submit(held.wait)
    done = threading.Event()
    workers.submit(done.set)
    system.left = 2  # one that looks, and one more worker
    assert ran(workers)
    assert done.is_set()
