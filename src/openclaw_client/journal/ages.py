"""How long what is over is kept, and how much of it. The same for every journal."""

from __future__ import annotations

from typing import Final

KEPT_TEXTS: Final = 86_400.0
"""Seconds for which the texts of a run that was taken are kept: who lost the reply comes back for it within a day."""
KEPT_KEYS: Final = 604_800.0
"""Seconds for which its key and digests are kept: late events and history pages of a week are known as its own."""
KEPT_DONE: Final = 86_400.0
"""Seconds for which a message that was handled is known again: a history page may show it for about that long."""
KEPT_DEAD: Final = 604_800.0
"""Seconds in which a message that no handler could take may be looked at and given once more."""

MAX_WAITING: Final = 1_000
"""Messages of a user that wait: more than anybody reads, and a page of the history has as many."""
MAX_DEAD: Final = 1_000
"""Dead messages of a user: as many as may wait."""
MAX_UNTAKEN: Final = 1_000
"""Runs of a user that are over and whose replies nobody took: an application that asks finds them within minutes."""
MAX_PLACES: Final = 1_024
"""Sessions of a user whose places are kept: as many as are caught up with."""
MAX_TEXT: Final = 1 << 20
"""Characters of a reply that are kept; a longer one is asked for again, the gateway has it in its history."""
