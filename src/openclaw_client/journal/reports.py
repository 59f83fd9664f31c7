"""What a journal has to say that no caller hears of. Counts and files, never texts, users or sessions."""

from __future__ import annotations

from openclaw_client.errors import JournalError
from openclaw_client.journal.ages import MAX_UNTAKEN, MAX_WAITING
from openclaw_client.logs import GuardedLogger

logger = GuardedLogger("openclaw_client.journal")


def report_given_up(path: str | None, messages: int) -> None:
    """So many waiting messages of a user were more than `ages.MAX_WAITING`."""
    if messages > 0:
        logger.error(
            "%s: %d message(s) of a user who has over %d waiting are given up; they are among the dead for a week",
            path or "journal",
            messages,
            MAX_WAITING,
        )


def report_untaken(path: str | None, runs: int) -> None:
    """So many replies of a user were more than `ages.MAX_UNTAKEN`."""
    if runs > 0:
        logger.error(
            "%s: %d reply(s) of a user who has over %d that nobody took are given up; ask pending() and take or forget "
            "them",
            path or "journal",
            runs,
            MAX_UNTAKEN,
        )


def report_unwritten(error: JournalError) -> None:
    """Something that nobody waits for could not be written down."""
    logger.error("%s What is noted is kept in memory and tried again", error)


def report_written(path: str) -> None:
    """It was written down after all."""
    logger.warning("%s: what could not be written down before is written", path)


def report_lost(path: str) -> None:
    """There are too many notes."""
    logger.error("%s: too much waits to be written down; later notes are lost until some of it is", path)


def report_no_text(path: str) -> None:
    """A note holds what SQLite cannot keep."""
    logger.error("%s: a note is left out: it holds something that is no text, or no number", path)


def report_vanished(path: str) -> None:
    """The file is not the one that was opened."""
    logger.error("%s was deleted or replaced while it was in use; what it held is gone", path)
