"""A process that sends a message and is killed as soon as its run speaks."""

from __future__ import annotations

import asyncio
import pickle
import sys
import textwrap
from pathlib import Path

from openclaw_client import SentRun

SENDER = """
    import pickle, sys, time
    from openclaw_client import FileIdentityStore, GatewayClient

    url, token, folder, session, message = sys.argv[1:]
    client = GatewayClient(url, token=token, identity=FileIdentityStore(f"{folder}/device.json"))
    client.connect()
    with client.chat_stream(session_key=session, message=message) as run:
        next(iter(run.text_stream))
        with open(f"{folder}/run", "wb") as file:
            pickle.dump(run.sent_run, file)
        print("begun", flush=True)
        time.sleep(60)
"""


async def sent_by_one_who_is_killed(url: str, token: str, folder: Path, session: str, message: str) -> SentRun:
    """What the process has stored of its run. folder: of its own, for its identity and the run."""
    program = folder / "sender.py"
    program.write_text(textwrap.dedent(SENDER))
    command = [sys.executable, str(program), url, token, str(folder), session, message]
    sender = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert sender.stdout is not None
    line = await sender.stdout.readline()
    sender.kill()
    await sender.wait()
    assert line == b"begun\n"
    sent: SentRun = pickle.loads((folder / "run").read_bytes())
    return sent
