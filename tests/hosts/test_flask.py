"""docs/flask.md under the gunicorn of its own configuration."""

from __future__ import annotations

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.hosts.conftest import PATIENCE, Host, accepts, post, wait_until
from tests.hosts.pages import command, write_files


def test_the_page(host: Host, gateway: BlockingEmbeddedGateway, server_socket: str) -> None:
    write_files(host, "flask.md")
    settings = host.folder / "gunicorn.conf.py"
    text = settings.read_text()
    assert "timeout=20" in text
    settings.write_text(text.replace("timeout=20", "timeout=2"))

    def ask(path: str, user: str, message: str) -> tuple[int, str]:
        return post(server_socket, path, {"X-User": user}, {"message": message})

    with (
        host.start("-m", *command("flask.md"), "--bind", f"unix:{server_socket}") as process,
        ThreadPoolExecutor(8) as pool,
    ):
        wait_until(lambda: accepts(server_socket), process)
        users = [f"user-{number}" for number in range(8)]
        replies = list(pool.map(lambda user: ask("/chat", user, f"I am {user}"), users))
        assert [(status, json.loads(body)) for status, body in replies] == [
            (200, {"text": f"echo: I am {user}", "state": "final"}) for user in users
        ]
        assert ask("/stream", "user-0", "and now in pieces") == (200, "echo: and now in pieces")
        assert gateway.transcript("agent:main:web:user-7")[0]["text"] == "I am user-7"

        ending = pool.submit(ask, "/chat", "user-1", "gated-ending")
        [run] = wait_until(lambda: gateway.active_runs, process)
        endless = pool.submit(ask, "/chat", "user-2", "gated-endless")
        wait_until(lambda: len(gateway.active_runs) == 2, process)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        gateway.release(run)
        assert ending.result(PATIENCE)[0] == 200
        status, body = endless.result(PATIENCE)
        process.communicate(timeout=PATIENCE)
    assert (status, json.loads(body)) == (503, {"error": "RunLost"})
    assert time.monotonic() - began < 30
    assert process.returncode == 0
