"""Files that go with a message."""

from __future__ import annotations

import struct
import zlib

import pytest

from openclaw_client import Attachment
from openclaw_client.errors import PayloadTooLarge, UsageError
from tests.contract.targets import PATIENT, Target, device_store
from tests.faces import Face


def picture(size: int = 16) -> bytes:
    """A red square as PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0))
    rows = zlib.compress((b"\0" + b"\xc8\x0a\x0a" * size) * size)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def test_an_image_reaches_the_model(face: Face, target: Target, session: str) -> None:
    text = f"stub:echo a picture {session}"
    async with face.client(target.url, token=target.token, identity=device_store(), timeouts=PATIENT) as client:
        image = Attachment.from_bytes(picture(), file_name="square.png")
        reply = await client.chat_send(session_key=session, message=text, attachments=[image])
    assert reply.text == f"echo: a picture {session}"
    assert target.pictures(text) == 1


async def test_what_no_gateway_takes_is_not_sent(face: Face, target: Target, session: str) -> None:
    text = f"stub:echo too much {session}"
    async with face.client(target.url, token=target.token, identity=device_store(), timeouts=PATIENT) as client:
        policy = client.hello.policy
        limit = policy.attachments.max_image_bytes if policy.attachments else 5_000_000
        image = Attachment.from_bytes(b"\x89PNG" + bytes(limit), file_name="large.png")
        with pytest.raises(PayloadTooLarge, match="large") as caught:
            await client.chat_send(session_key=session, message=text, attachments=[image])
        assert caught.value.limit == limit
        half = Attachment.from_bytes(b"\x89PNG" + bytes(4_900_000), file_name="half.png")
        with pytest.raises(PayloadTooLarge) as caught:
            # Each is small enough; the frame that carries them all is not.
            await client.chat_send(session_key=session, message=text, attachments=[half] * 5)
        assert caught.value.limit == policy.max_payload
        if target.protocol == 3:
            note = Attachment.from_bytes(b"words", file_name="note.txt")
            with pytest.raises(UsageError, match="no image"):
                await client.chat_send(session_key=session, message=text, attachments=[note])
        # The connection is none the worse for it.
        reply = await client.chat_send(session_key=session, message="stub:echo still here")
    assert reply.text == "echo: still here"
    assert target.asked(text) == 0
