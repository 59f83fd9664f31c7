"""How a run sends files: which row holds one, and who is told of it.

Knows the three ways of an agent. Refuses to know how a file is fetched.
"""

from __future__ import annotations

import uuid

from openclaw_client.errors import UsageError
from openclaw_client.testing.files import SentFile, Way
from openclaw_client.testing.recorder import Recorder
from openclaw_client.testing.run import Run
from openclaw_client.testing.transcripts import Transcripts, assistant_extra, new_row

NOT_SHOWN = "Media reply could not be displayed."
"""What an event says in the place of a file that came without words."""

_MIRROR = {"provider": "openclaw", "model": "delivery-mirror"}
"""What stands for the model in a row that a tool wrote."""


class FileSender:
    """Sends for one run."""

    def __init__(self, run: Run, transcripts: Transcripts, recorder: Recorder) -> None:
        self._run = run
        self._transcripts = transcripts
        self._recorder = recorder

    def checked(self, name: str, data: bytes, mime_type: str, way: Way) -> SentFile:
        """The file, if one can be sent so here. Raises UsageError where not."""
        profile = self._run.profile
        if not profile.files:
            raise UsageError(
                message=f"it is not known how {profile.release} sends files",
                remedy="Use a gateway of release 2026.8.1 or 2026.9.6",
            )
        file = SentFile(
            name=name, mime_type=mime_type, session_key=self._run.key, data=bytes(data), inline=way == "result"
        )
        if file.inline and file.kind != "image":
            raise UsageError(message=f"the result of a tool holds images, and no {mime_type}", remedy="Use another way")
        self._transcripts.check_room(len(file.data))
        return file

    def in_reply(self, file: SentFile) -> None:
        """Show it behind the words of the answer, in the history."""
        self._run.lines.append(f"MEDIA:./{file.name}")
        self._run.show_agent("assistant", {"text": self._run.text, "delta": "", "mediaUrls": [f"./{file.name}"]})
        self._run.reply_files.append(file)

    def in_row(self, file: SentFile, text: str) -> None:
        """Write a row of its own, and tell of it."""
        run = self._run
        extra = {**assistant_extra(injected=True), **_MIRROR}
        extra["idempotencyKey"] = f"{run.id}:message-tool:{uuid.uuid4().hex}"
        row = new_row("assistant", text, run.audience.now_ms(), run_id=run.id, **extra)
        row.files = [file]
        self._recorder.record(run.session, row)
        run.sent_texts.append(text or NOT_SHOWN)

    def in_result(self, file: SentFile) -> None:
        """Let the result of the tool that is called now hold it."""
        self._run.result_files.append(file)
