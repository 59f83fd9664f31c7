"""The worker pool behind the handlers: small, in no job's debt, and not held up by those that block."""

from __future__ import annotations

import threading
import weakref

from openclaw_client.sync.threads import Workers
from tests.waiting import wait_until

PATIENCE = 20


def running(name: str) -> int:
    return sum(thread.name.startswith(name) for thread in threading.enumerate())


def test_jobs_that_block_hold_up_no_others_and_the_surplus_ends() -> None:
    workers, door, reached = Workers("test-most", 2, most=40), threading.Event(), threading.Semaphore(0)

    def block() -> None:
        reached.release()
        door.wait()

    for _ in range(30):
        workers.submit(block)
    done = threading.Event()
    workers.submit(done.set)
    assert done.wait(PATIENCE)
    assert all(reached.acquire(timeout=PATIENCE) for _ in range(30))
    door.set()
    # Each further job gives a surplus worker the occasion to see that it is one too many.
    ticks = threading.Event()
    for _ in range(PATIENCE * 100):
        if running("test-most") <= 2:
            break
        workers.submit(lambda: None)
        ticks.wait(0.01)
    assert running("test-most") <= 2


def test_no_more_threads_than_allowed() -> None:
    workers, door, reached = Workers("test-limit", 3), threading.Event(), threading.Semaphore(0)

    def block() -> None:
        reached.release()
        door.wait()

    for _ in range(10):
        workers.submit(block)
    assert all(reached.acquire(timeout=PATIENCE) for _ in range(3))
    assert running("test-limit") == 3
    door.set()
    assert all(reached.acquire(timeout=PATIENCE) for _ in range(7))


def test_every_job_is_run_once_whoever_submits_it() -> None:
    workers, done, lock = Workers("test-once", 4, most=8), threading.Semaphore(0), threading.Lock()
    seen: list[int] = []

    def job(number: int) -> None:
        with lock:
            seen.append(number)
        done.release()

    def submit(part: int) -> None:
        for number in range(part, 4000, 8):
            workers.submit(lambda number=number: job(number))  # type: ignore[misc]

    threads = [threading.Thread(target=submit, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    assert all(done.acquire(timeout=PATIENCE) for _ in range(4000))
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(4000))


def test_a_worker_without_work_keeps_nothing_of_its_last_job() -> None:
    class Job:
        def __call__(self) -> None:
            done.release()

    workers, done = Workers("test-keeps", 2), threading.Semaphore(0)
    jobs = [Job() for _ in range(4)]
    kept = [weakref.ref(job) for job in jobs]
    while jobs:
        workers.submit(jobs.pop())
    assert all(done.acquire(timeout=PATIENCE) for _ in kept)
    wait_until(lambda: not any(job() for job in kept))
