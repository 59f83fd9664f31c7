"""A gateway over TLS that says hello and then answers every request: for counting connections, not for speed."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from pathlib import Path

import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest

CHALLENGE = (
    b'{"type":"event","event":"connect.challenge","payload":{"nonce":"00000000-0000-4000-8000-000000000000","ts":1}}'
)


class Gateway(WSListener):  # type: ignore[misc, unused-ignore]
    hello = ""

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, CHALLENGE)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            transport.disconnect()
            return
        request = json.loads(frame.get_payload_as_bytes())
        payload = self.hello if request["method"] == "connect" else "{}"
        answer = f'{{"type":"res","id":"{request["id"]}","ok":true,"payload":{payload}}}'
        transport.send(WSMsgType.TEXT, answer.encode())


async def serve(certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def accept(_: WSUpgradeRequest) -> Gateway:
        return Gateway()

    server = await picows.ws_create_server(accept, "127.0.0.1", 0, ssl=context, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    import resource

    import uvloop

    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    Gateway.hello = Path(sys.argv[1]).read_text().strip()
    uvloop.run(serve(sys.argv[2], sys.argv[3]))
