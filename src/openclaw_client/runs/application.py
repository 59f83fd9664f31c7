"""Whose runs they are among the processes of one application: by how their keys begin.

Knows names and keys. Refuses to know who sent what, and sessions.
"""

from __future__ import annotations

import re
from typing import Final

from openclaw_client.errors import UsageError

_NAME: Final = re.compile(r"[a-z0-9_]{1,32}")
_LIKE_A_SECRET: Final = re.compile(
    r"(?:^sk|^pplx|glpat|gloas|xapp|pypi|xox[baprs])$|gsk_|hf_|npm_|gh[opsur]_|[sr]k_(?:live|test)_"
)
"""Names that make keys of which 2026.7.35 and 2026.8.1 take a part for an API key: `***` stands in its place in the
history (read in what they leave out of texts), and the run is not found there."""


class Application:
    """The name that begins the keys of an application's runs.

    name: 1 to 32 of the characters a to z, 0 to 9 and "_". Raises UsageError for another one.
    """

    __slots__ = ("name", "prefix")

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise UsageError(
                message=f"application={name!r} is no name of an application",
                remedy='Use 1 to 32 of the characters a to z, 0 to 9 and "_"',
            )
        if _LIKE_A_SECRET.search(name):
            raise UsageError(
                message=f"application={name!r}: gateways take keys that begin so for secrets, and leave them out",
                remedy="Use another name",
            )
        self.name: Final = name
        self.prefix: Final = f"{name}-"

    def has(self, run_id: str | None) -> bool:
        """Whether a run was sent by a process of this application."""
        return run_id is not None and run_id.startswith(self.prefix)

    def __repr__(self) -> str:
        return f"Application({self.name!r})"


def application_of(name: str | None) -> Application | None:
    """None where there is no name. Raises UsageError."""
    return None if name is None else Application(name)
