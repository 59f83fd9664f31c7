"""The stores of docs/identity.md, run as they stand there, on SQLite."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

CHECK = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
from openclaw_client import AsyncGatewayClient, DeviceToken, GatewayClient, IdentityStore
from openclaw_client.errors import IdentityError
from openclaw_client.testing import BlockingEmbeddedGateway

def check(make, break_it):
    typed: IdentityStore = make(1)
    with ThreadPoolExecutor(8) as pool:
        assert len({identity.id for identity in pool.map(lambda _: make(1).load(), range(16))}) == 1
    mine, other = make(1).load(), make(2).load()
    assert mine.id != other.id
    token = DeviceToken("t-1", "operator", ("operator.read", "operator.write"), 5)
    assert typed.load_token("ws://a", mine.id, "operator") is None
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: make(1).save_token("ws://a", mine.id, token), range(8)))
    assert make(1).load_token("ws://a", mine.id, "operator") == token
    assert make(1).load_token("ws://b", mine.id, "operator") is None
    newer = DeviceToken("t-2", "operator")
    typed.save_token("ws://a", mine.id, newer)
    assert typed.clear_token("ws://a", mine.id, "operator", "t-1") is False
    assert typed.load_token("ws://a", mine.id, "operator") == newer
    assert typed.clear_token("ws://a", mine.id, "operator", "t-2") is True
    assert typed.clear_token("ws://a", mine.id, "operator", "t-2") is False
    with BlockingEmbeddedGateway(release="2026.4.15") as gateway:
        with GatewayClient(gateway.url, token=gateway.token, identity=make(1)):
            pass

        async def again():
            async with AsyncGatewayClient(gateway.url, identity=make(1)) as client:
                return client.connected

        assert asyncio.run(again())
    break_it()
    try:
        make(1).load()
    except IdentityError as error:
        print("ok:", error)
"""

DJANGO = """
import sys
import django
from django.conf import settings

# Eight threads write to one SQLite file: who reads before it writes takes the lock at once.
options = {"timeout": 20, "transaction_mode": "IMMEDIATE"}
database = {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1], "OPTIONS": options}
settings.configure(DATABASES={"default": database}, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True)
django.setup()
<BLOCK>
from django.db import connection

with connection.schema_editor() as editor:
    editor.create_model(GatewayDevice)
    editor.create_model(GatewayToken)

def drop():
    with connection.schema_editor() as editor:
        editor.delete_model(GatewayDevice)

<CHECK>
check(DjangoIdentityStore, drop)
"""

SQLALCHEMY = """
import sys
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
<BLOCK>
engine = create_engine("sqlite:///" + sys.argv[1], connect_args={"timeout": 20})
Base.metadata.create_all(engine)
sessions = sessionmaker(engine)
<CHECK>
check(lambda user_id: SqlAlchemyIdentityStore(sessions, user_id), lambda: GatewayDevice.__table__.drop(engine))
"""


def block_with(words: str) -> str:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/identity.md").read_text(), re.DOTALL | re.MULTILINE)
    return next(str(block) for block in blocks if words in block)


@pytest.mark.parametrize(
    ("package", "frame", "words"),
    [("django", DJANGO, "class DjangoIdentityStore"), ("sqlalchemy", SQLALCHEMY, "class SqlAlchemyIdentityStore")],
)
def test_a_row_per_user(tmp_path: Path, package: str, frame: str, words: str) -> None:
    pytest.importorskip(package)
    program = frame.replace("<BLOCK>", block_with(words)).replace("<CHECK>", CHECK)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "db.sqlite3")],
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ok: the device is in a database that fails: OperationalError")
