"""Celery with four forked worker processes, over files and without a broker's server."""

from __future__ import annotations

import json
import signal

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.hosts.conftest import PATIENCE, Host, wait_until
from tests.hosts.pages import command, write_files

WORKERS = 4
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
"""Without what workers tell each other, for which there is no broker here."""

TASKS = """
import os
from pathlib import Path

from celery import Celery
from celery.signals import worker_shutdown

from openclaw_client import GatewayClient

here = Path(__file__).parent
for name in ("outbox", "queue", "results"):
    (here / name).mkdir(exist_ok=True)
app = Celery("tasks", broker="filesystem://", backend=f"file://{here}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{here}/queue",
    "data_folder_out": f"{here}/outbox",
    "polling_interval": 0.1,
}
app.conf.worker_prefetch_multiplier = 1

client = GatewayClient(identity=False)


@app.task
def ask(message):
    reply = client.chat_send(session_key=message, message=message)
    return os.getpid(), client.hello.server.conn_id, reply.text
"""

WORKER = """
import sys

from tasks import app, client, worker_shutdown

client.connect()
connection = client.hello.server.conn_id


@worker_shutdown.connect
def look(**_):
    text = client.chat_send(session_key="parent", message="still here").text
    # Celery makes log lines of what is printed otherwise.
    print(client.hello.server.conn_id == connection, text, file=sys.__stdout__, flush=True)
"""

POST = """
from pathlib import Path


def posted(job):
    # Kombu writes into files that the worker may be reading already, which then loses the message.
    for file in Path("outbox").iterdir():
        file.rename(Path("queue") / file.name)
    return job
"""

SENDER = """
import json
import sys

import post
import tasks

jobs = post.posted([tasks.ask.delay(message) for message in sys.argv[1:]])
print(json.dumps([job.get(timeout=60) for job in jobs]))
"""


def test_each_worker_has_a_connection_and_the_parent_keeps_its_own(
    host: Host, gateway: BlockingEmbeddedGateway
) -> None:
    host.write("tasks.py", TASKS)
    host.write("worker.py", WORKER)
    host.write("post.py", POST)
    sender = str(host.write("sender.py", SENDER))
    messages = [f"gated-{number}" for number in range(WORKERS)]
    more = [f"message-{number}" for number in range(12)]
    options = ("--pool", "prefork", "--concurrency", str(WORKERS), "-O", "fair", "--loglevel", "WARNING")
    with host.start("-m", "celery", "-A", "worker", "worker", *options, *QUIET) as process:
        with host.start(sender, *messages, *more) as sending:
            wait_until(lambda: len(gateway.active_runs) == WORKERS, process)
            gateway.release()
            wait_until(lambda: sending.poll() is not None, process)
            answers = json.loads(sending.communicate()[0])
        opened = gateway.open_connections
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=PATIENCE)

    assert [text for _, _, text in answers] == [f"echo: {message}" for message in [*messages, *more]]
    held = answers[:WORKERS]
    assert len({pid for pid, _, _ in held}) == len({connection for _, connection, _ in held}) == WORKERS
    assert opened == len(gateway.seen.connects) == WORKERS + 1
    assert "True echo: still here" in out.splitlines()
    assert process.returncode == 0


# The page.

CONFIGURATION = """
from pathlib import Path

here = Path(__file__).parent
for name in ("outbox", "queue", "results"):
    (here / name).mkdir(exist_ok=True)
broker_url = "filesystem://"
result_backend = f"file://{here}/results"
broker_transport_options = {
    "data_folder_in": f"{here}/queue",
    "data_folder_out": f"{here}/outbox",
    "polling_interval": 0.1,
}
"""

ASK = """
import json

from post import posted
from tasks import ask

first = posted(ask.apply_async(("ann", "once"), task_id="the-task"))
texts = [first.get(timeout=60)]
first.forget()
# The broker delivers it again.
texts.append(posted(ask.apply_async(("ann", "once"), task_id="the-task")).get(timeout=60))
texts += [job.get(timeout=60) for job in posted([ask.delay(user, "hello") for user in ("ann", "bob", "cat")])]
print(json.dumps(texts))
"""


def test_the_page(host: Host, gateway: BlockingEmbeddedGateway) -> None:
    write_files(host, "celery.md")
    host.write("celeryconfig.py", CONFIGURATION)
    host.write("post.py", POST)
    with host.start("-m", *command("celery.md"), *QUIET) as process:
        texts = json.loads(host.run(str(host.write("ask.py", ASK))))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert texts == ["echo: once", "echo: once", *["echo: hello"] * 3]
    spoken = [row["text"] for row in gateway.transcript("agent:main:tasks:ann") if row["role"] == "user"]
    assert spoken == ["once", "hello"]
    # What was delivered again was taken up, and not sent.
    assert gateway.seen.requests["chat.send"] == 1 + 3
    assert process.returncode == 0


def test_the_page_with_a_journal(host: Host, gateway: BlockingEmbeddedGateway) -> None:
    write_files(host, "celery.md")
    host.write("celeryconfig.py", CONFIGURATION)
    host.write("post.py", POST)
    script = str(host.write("ask.py", ASK.replace("from tasks import", "from durable_tasks import")))
    options = ("--pool", "threads", "--concurrency", "16")
    # A worker that ends, and one behind it with the same journal.
    for _ in range(2):
        with host.start("-m", "celery", "-A", "durable_tasks", "worker", *options, *QUIET) as process:
            texts = json.loads(host.run(script))
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)
        assert texts == ["echo: once", "echo: once", *["echo: hello"] * 3]
        assert process.returncode == 0
    spoken = [row["text"] for row in gateway.transcript("agent:main:tasks:ann") if row["role"] == "user"]
    assert spoken == ["once", "hello", "hello"]
    # What was delivered again was taken up, and not sent.
    assert gateway.seen.requests["chat.send"] == 1 + 2 * 3
