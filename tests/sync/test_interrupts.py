"""Ctrl-C in the blocking client: it ends every wait of the main thread, and nothing that was begun stays behind."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from openclaw_client import GatewayClient
from openclaw_client.sync.loop_thread import _Call
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.waiting import PATIENCE, wait_until


@pytest.fixture
def gateway() -> Iterator[BlockingEmbeddedGateway]:
    with BlockingEmbeddedGateway() as gateway:
        yield gateway


def client_for(gateway: BlockingEmbeddedGateway) -> GatewayClient:
    return GatewayClient(gateway.url, token=gateway.token, identity=False)


def interrupt_when(ready: Callable[[], bool], *, through: int | None = None) -> threading.Thread:
    """Send SIGINT as soon as something is so. through: the thread that gets it, None for the one that sends it."""

    def send() -> None:
        wait_until(ready)
        signal.pthread_kill(threading.get_ident() if through is None else through, signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_a_signal_that_another_thread_got_ends_a_request(gateway: BlockingEmbeddedGateway) -> None:
    """It does not wake the main thread, like one that comes just before the wait."""
    with client_for(gateway) as client:
        gateway.faults.swallow("health")
        sender = interrupt_when(lambda: not gateway.faults.outstanding)
        with pytest.raises(KeyboardInterrupt):
            client.request("health", timeout=None)
        sender.join()


def test_a_signal_that_another_thread_got_ends_a_wait_for_events(gateway: BlockingEmbeddedGateway) -> None:
    with client_for(gateway) as client, client.events("never") as events:
        waiting = threading.Event()
        sender = interrupt_when(waiting.is_set)

        def wait() -> None:
            waiting.set()
            next(events)

        with pytest.raises(KeyboardInterrupt):
            wait()
        sender.join()


class AtTheLastMoment(logging.Handler):
    """Interrupts the main thread while a chat.send is being written, and lets the writer go on when it has noticed."""

    def __init__(self) -> None:
        super().__init__()
        self.noticed = threading.Event()

    def interrupt(self, *_: object) -> None:
        self.noticed.set()
        raise KeyboardInterrupt

    def emit(self, record: logging.LogRecord) -> None:
        if '"chat.send"' in record.getMessage():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            assert self.noticed.wait(PATIENCE)


def test_a_message_that_was_sent_before_ctrl_c_could_stop_it_keeps_its_run(
    gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    moment, wire = AtTheLastMoment(), logging.getLogger("openclaw_client.wire")
    with client_for(gateway) as client, caplog.at_level(logging.DEBUG, wire.name):
        before = signal.signal(signal.SIGINT, moment.interrupt)
        wire.addHandler(moment)
        try:
            run = client.chat_stream(session_key="main", message="hi")
            with pytest.raises(KeyboardInterrupt):
                run.result()
        finally:
            wire.removeHandler(moment)
            signal.signal(signal.SIGINT, before)
        assert run.result().text == "echo: hi"
        assert gateway.seen.requests["chat.send"] == 1


def test_ctrl_c_ends_a_diagnosis(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.withhold_challenge()
    sender = interrupt_when(lambda: gateway.open_connections == 1, through=threading.main_thread().ident)
    with pytest.raises(KeyboardInterrupt):
        client_for(gateway).diagnose()
    sender.join()
    wait_until(lambda: gateway.open_connections == 0)


def test_a_disconnect_that_is_interrupted_before_its_first_turn_has_disconnected(
    gateway: BlockingEmbeddedGateway,
) -> None:
    client = client_for(gateway)
    client.connect()
    assert client._thread is not None
    call = _Call(client._port.disconnect, "disconnect")

    def at_once() -> None:
        call.start()
        call.cancel()

    client._thread.soon("disconnect", at_once)
    assert call.over.wait(PATIENCE)
    assert not client.connected
    wait_until(lambda: gateway.open_connections == 0)
