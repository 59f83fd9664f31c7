"""Other clients for threads: websocket-client and the threading client of websockets, each with one msgspec pass.

They are WebSocket clients and know no gateway: what is measured is what an application pays that reads one run itself,
with the quickest decoder there is. `face` names the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bench.drivers.bare import Frame
from bench.drivers.meter import Arguments, Meter, report
from bench.drivers.warm import Warming

LIMIT = 1 << 25


def open_websocket_client(url: str) -> tuple[Callable[[str], Any], Callable[[], str | bytes]]:
    import websocket

    # Masking and checking UTF-8 in Python would cost most of the time; the decoder checks the text.
    socket = websocket.create_connection(url, skip_utf8_validation=True)
    return socket.send, socket.recv


def open_websockets(url: str) -> tuple[Callable[[str], Any], Callable[[], str | bytes]]:
    from websockets.sync.client import connect

    # The server compresses nothing, and bytes are what the decoder wants.
    socket = connect(url, max_size=LIMIT, compression=None, ping_interval=None)
    return socket.send, lambda: socket.recv(decode=False)


OPEN = {"websocket-client": open_websocket_client, "websockets": open_websockets}


def stream(arguments: Arguments) -> None:
    send, receive = OPEN[arguments.face](arguments.url)
    decode = msgspec.json.Decoder(Frame).decode
    send('{"type":"req","id":"1","method":"connect","params":{}}')
    while "hello-ok" not in str(receive()):
        pass

    def read(frames: int) -> int:
        key = "11111111-2222-4333-8444-555555555555"
        message = f'{{"message":"{arguments.message(frames)}","idempotencyKey":"{key}"}}'
        send(f'{{"type":"req","id":"2","method":"chat.send","params":{message}}}')
        seen = length = 0
        while True:
            payload = decode(receive()).payload
            if payload is None or payload.message is None:
                continue
            if payload.state == "final":
                return seen
            seen += 1
            length += len(payload.message.content[0].text)

    warming = Warming(arguments.warm * arguments.times)
    while warming.more():
        with warming.block():
            for _ in range(arguments.times):
                read(arguments.warm)
    with Meter() as meter:
        events = read(arguments.frames)
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames, events=events, **warming.facts())


if __name__ == "__main__":
    stream(Arguments.read())
