"""A fork of a process whose client or manager has a journal: the file stays the parent's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.sync.test_processes import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

CLIENT = """
import os, signal, sys
from openclaw_client import GatewayClient, SqliteJournal
from openclaw_client.errors import JournalError

url, token, path = sys.argv[1:]
journal = SqliteJournal(path, wait=0.0)
client = GatewayClient(url, token=token, identity=False, journal=journal)
with client:
    client.chat_send(session_key="main", message="before the fork")
    child = os.fork()
    if not child:
        signal.alarm(10)
        for call in (client.pending, lambda: client.chat_send(session_key="main", message="of the child")):
            try:
                call()
            except JournalError as error:
                print(error.reason, str(os.getppid()) in str(error), flush=True)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    print(client.chat_send(session_key="main", message="behind the fork").text)
"""
MANAGER = """
import os, signal, sys
from openclaw_client import ConnectionManager, Credentials, SqliteJournal
from openclaw_client.errors import JournalError

url, token, path = sys.argv[1:]

def credentials(user):
    return Credentials(url, token=token, identity=False)

# As a server does that loads its application before it forks: nothing is opened.
manager = ConnectionManager(credentials, journal=SqliteJournal(path, wait=0.0))
child = os.fork()
if not child:
    signal.alarm(20)
    text = manager.connection_for("ann").chat_send(session_key="main", message="of the first worker").text
    print(text, flush=True)
    second = os.fork()
    if not second:
        try:
            manager.connection_for("bob")
        except JournalError as error:
            print(error.reason, flush=True)
        os._exit(0)
    os.waitpid(second, 0)
    manager.close()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
# Its death, and close(), let others have it.
print(manager.connection_for("bob").chat_send(session_key="main", message="of the next one").text)
manager.close()
"""


@pytest.fixture
def gateway() -> Iterator[BlockingEmbeddedGateway]:
    with BlockingEmbeddedGateway() as gateway:
        yield gateway


def test_a_child_of_a_client_is_told_whose_the_journal_is(gateway: BlockingEmbeddedGateway, tmp_path: Path) -> None:
    done = run(CLIENT, gateway.url, gateway.token or "", str(tmp_path / "journal.db"))
    assert (done.stderr, done.stdout.splitlines()) == (
        "",
        ["in_use True", "in_use True", "0", "echo: behind the fork"],
    )


def test_of_the_workers_of_one_manager_the_first_has_the_journal(
    gateway: BlockingEmbeddedGateway, tmp_path: Path
) -> None:
    done = run(MANAGER, gateway.url, gateway.token or "", str(tmp_path / "journal.db"))
    assert (done.stderr, done.stdout.splitlines()) == (
        "",
        ["echo: of the first worker", "in_use", "0", "echo: of the next one"],
    )
