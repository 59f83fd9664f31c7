"""A real terminal: the program under tmux, its screen read back."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from tests.waiting import wait_until

KEPT = ("PATH", "HOME", "PYTHONPATH", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


_TELL_END = 'trap : INT; "$@"; echo "exit code: $?"; exec cat'
"""A shell that outlives Ctrl-C and tells the exit code on the screen. tmux has a word for it, too, but sometimes misses
the end of a process (3.3a). Its cat keeps the screen until tmux is told to end."""


class Terminal:
    """One program on a screen of 80 by 30, in a tmux of its own; the screen stays when the program ends."""

    def __init__(self, command: tuple[str, ...], environ: Mapping[str, str], *, term: str = "screen-256color") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="oc-tmux-")
        self._socket = f"{self._folder.name}/s"
        wanted = {name: value for name, value in environ.items() if name in KEPT or name.startswith("OPENCLAW_")}
        variables = {**wanted, "LC_ALL": "C.UTF-8", "TERM": term}
        self._environ = {"PATH": environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        # Through env, because tmux sets TERM itself; and with nothing else of this process.
        inner = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), "sh", "-c", _TELL_END, "sh"]
        self._tmux("new-session", "-d", "-x", "80", "-y", "30", *inner, *command)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._tmux("kill-server")
        self._folder.cleanup()

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Keys as tmux calls them: Enter, C-c, Up."""
        self._tmux("send-keys", *keys)

    def say(self, text: str) -> None:
        """Type a line at the prompt; returns when the program has taken it."""
        self.type(text)
        self.wait_for_prompt(text)
        self.press("Enter")
        self._wait(lambda: not self._at_prompt(text))

    def screen(self, *, above: bool = False) -> str:
        """What stands on the screen, or also what was scrolled out; without the blanks at the ends of the lines."""
        text = self._tmux("capture-pane", "-p", "-S", "-" if above else "0")
        return "\n".join(line.rstrip() for line in text.splitlines()).rstrip()

    def wait_for(self, *texts: str) -> str:
        """The screen as soon as it shows all these texts; the test fails when it never does."""
        shown = ""

        def there() -> bool:
            nonlocal shown
            shown = self.screen()
            return all(text in shown for text in texts)

        self._wait(there)
        return shown

    def wait_for_prompt(self, typed: str = "") -> str:
        """The screen as soon as its last line is the prompt with this text typed."""
        self._wait(lambda: self._at_prompt(typed))
        return self.screen()

    def wait_for_end(self) -> int:
        """The exit code, as soon as the program has ended."""
        return int(self.wait_for("exit code: ").rsplit("exit code: ", 1)[1])

    def show(self, variable: str) -> str:
        return self._tmux("display-message", "-p", f"#{{{variable}}}").strip()

    def _at_prompt(self, typed: str) -> bool:
        return self.screen().endswith(f"\nyou> {typed}".rstrip())

    def _wait(self, condition: object) -> None:
        assert callable(condition)
        try:
            wait_until(condition)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.screen(above=True)}") from None

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-u", "-S", self._socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, env=self._environ, check=True, capture_output=True, encoding="utf-8").stdout
