"""The conversation of `chat` without a message."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from openclaw_client.cli.blocks import mark
from openclaw_client.cli.connect import connected
from openclaw_client.cli.converse import NotSent, converse, describe_change
from openclaw_client.cli.dialog import Dialog, answerable
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.history import show_history
from openclaw_client.cli.look import can_render, choose_look
from openclaw_client.cli.options import Options
from openclaw_client.cli.prompt import Screen, load_readline
from openclaw_client.cli.received import Received, save
from openclaw_client.cli.report import sentence
from openclaw_client.cli.view import Look, RunView
from openclaw_client.client.options import ConnectionState, StateChange
from openclaw_client.errors import GatewayError
from openclaw_client.runs.proactive import ProactiveMessage
from openclaw_client.sync.client import GatewayClient
from openclaw_client.version import __version__
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.questions import Question

HISTORY = 20
"""Messages that :history shows unless told: about a screenful or two."""

_HELP = """\
:help          this list
:history [N]   the last N messages of the session (20)
:download N [PATH]  save the file that was told with this number
:abort         stop all runs of the session, other clients' too
:quit          leave; so do Ctrl-D and Ctrl-C at the prompt
Enter on an empty line asks again what an agent asked and you left open.
Ctrl-C during a reply stops it. Everything else goes to the gateway, whose own commands begin with a slash."""


def chat_interactively(options: Options) -> int:
    """Hold a conversation until the person leaves. Raises what `connect()` raises."""
    look = choose_look()
    kinds = answerable(options)
    with connected(options, sessions=[options.session_key], answers=kinds) as client:
        if not can_render():
            look.note("for Markdown and colours install openclaw-client[cli]")
        return _Conversation(client, options, look, kinds).hold()


class _Conversation:
    def __init__(self, client: GatewayClient, options: Options, look: Look, kinds: Sequence[str]) -> None:
        self._client = client
        self._options = options
        self._look = look
        self._screen = Screen(look.prompt, load_readline())
        self._view: RunView | None = None
        self._received = Received()
        self._commands = {":history": self._history, ":abort": self._abort, ":download": self._download}
        client.on_proactive_message(self._on_message)
        client.on_state_change(self._on_change)
        self._dialog = Dialog(client, look) if kinds else None
        if "approvals" in kinds:
            client.on_approval(self._on_request)
        if "questions" in kinds:
            client.on_question(self._on_request)

    def hold(self) -> int:
        self._greet()
        while True:
            try:
                line = self._screen.ask().strip()
            except (EOFError, KeyboardInterrupt):
                print()
                return ExitCode.OK
            if line == ":quit":
                return ExitCode.OK
            if line == ":help":
                print(_HELP)
            elif line:
                with self._screen.busy():
                    self._do(line)
                    self._ask_pending()
            else:
                with self._screen.busy():
                    self._ask_pending(again=True)

    def _do(self, line: str) -> None:
        """A command of this chat, or a message; whatever goes wrong, the conversation stays open."""
        name, _, argument = line.partition(" ")
        try:
            if self._client.state in (ConnectionState.PAUSED, ConnectionState.DISCONNECTED):
                # Given up: the person may have put right what was wrong.
                self._client.connect()
            command = self._commands.get(name)
            if command is not None:
                command(argument.strip())
            else:
                self._say(line)
        except GatewayError as error:
            self._look.error(sentence(error, self._options, chatting=True))
        except NotSent:
            # Told where the message was shown.
            pass
        except KeyboardInterrupt:
            self._look.note("left; :abort stops what still runs at the gateway")
        print()

    def _say(self, line: str) -> None:
        self._view = view = self._look.run_view()
        try:
            options, way, dialog = self._options, self._received.add, self._dialog
            key, wishes, timeout = options.session_key, options.wishes, options.timeout
            converse(self._client, key, line, view, way=way, dialog=dialog, wishes=wishes, timeout=timeout)
        finally:
            self._view = None

    def _ask_pending(self, *, again: bool = False) -> None:
        """What waits and is of no run that goes on here. again: also what the person has left open."""
        if self._dialog is None:
            return
        try:
            if self._dialog.ask_pending(again=again):
                print()
        except KeyboardInterrupt:
            print()

    def _history(self, argument: str) -> None:
        limit = int(argument) if argument.isdecimal() else HISTORY
        show_history(self._client, self._options.session_key, max(1, limit), self._look)

    def _abort(self, _argument: str) -> None:
        result = self._client.chat_abort(session_key=self._options.session_key)
        self._look.note("stopped" if result.aborted else "nothing was running")

    def _download(self, argument: str) -> None:
        number, _, path = argument.partition(" ")
        file = self._received.get(number)
        if file is None:
            self._look.note("no file of this chat has that number; `openclaw-client files` lists those of the session")
        else:
            # There is no shell here that knows what ~ is.
            path = os.path.expanduser(path.strip()) or "."
            self._look.note(f"written to {save(self._client, file, path)}")

    # What comes by itself. On a handler's thread.

    def _on_message(self, _user: Any, message: ProactiveMessage) -> None:
        who = "assistant" if message.kind == "run" else f"assistant ({message.kind})"

        def draw() -> None:
            self._look.message(who, message.text, mark(message.content))

        view = self._view
        if view is None or not view.aside(draw):
            self._screen.show(draw)

    def _on_request(self, item: Approval | Question) -> None:
        # Nobody types while a run is shown: there, the dialog asks by itself.
        self._screen.show(lambda: self._announce(item))

    def _announce(self, item: Approval | Question) -> None:
        if self._dialog is not None and self._dialog.waits(item.id):
            self._look.note("an agent waits for an answer; Enter on an empty line shows what it asks")

    def _on_change(self, change: StateChange) -> None:
        text = describe_change(change)
        view = self._view
        if text and view is not None:
            view.note(text)
        elif text:
            self._screen.show(lambda: self._look.note(text))

    def _greet(self) -> None:
        hello = self._client.hello
        version = hello.server.version if hello is not None else ""
        gateway = f"gateway {version}" if version else "connected"
        self._look.note(f"openclaw-client {__version__} · {gateway} · session {self._options.session_key}")
        self._look.note(":help for help, Ctrl-D to leave")
        sys.stdout.flush()
