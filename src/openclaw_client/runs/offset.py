"""What a reader gets who has the beginning of a run's text already."""

from __future__ import annotations

from collections.abc import Callable

from openclaw_client.runs.events import RunCompleted, RunEvent, TextAppended, TextReplaced

Emit = Callable[[RunEvent], None]


def from_offset(offset: int, emit: Emit) -> Emit:
    """Hand out the text from a number of characters on, and everything else as it is.

    A text that is rewritten comes whole, as `TextReplaced`; so does one that ends before the offset, of which the
    reader has more than there is.
    """
    seen = 0

    def put(event: RunEvent) -> None:
        nonlocal seen
        if type(event) is TextAppended:
            before, seen = seen, seen + len(event.text)
            if seen <= offset:
                return
            if before < offset:
                event = TextAppended(event.run_id, event.text[offset - before :])
        elif type(event) is TextReplaced:
            seen = max(offset, len(event.text))
        elif type(event) is RunCompleted and seen < offset:
            emit(TextReplaced(event.run_id, event.text))
        emit(event)

    return put
