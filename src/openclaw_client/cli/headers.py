"""The headers for what stands in front of a gateway: of the command line, of a file, and of the environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from openclaw_client.client.options import is_environments_gateway
from openclaw_client.errors import UsageError

VARIABLE = "OPENCLAW_CLIENT_HEADERS"
"""Lines such as `X-Access-Token: …`; for the gateway of the environment, as its credentials are."""


def read_headers(
    given: Iterable[str], url: str | None, environ: Mapping[str, str] | None = None
) -> dict[str, str] | None:
    """The headers to send; None where there are none. given: "NAME: VALUE", or "@FILE" with such lines.

    What is given wins over the environment's. Raises UsageError, never with a value: many are secrets.
    """
    env = os.environ if environ is None else environ
    known = env.get(VARIABLE, "") if is_environments_gateway(url, env) else ""
    lines = [(VARIABLE, line) for line in known.splitlines()]
    for text in given:
        lines += _lines_of(text[1:]) if text.startswith("@") else [("--header", text)]
    headers: dict[str, tuple[str, str]] = {}
    for where, line in lines:
        if line.strip():
            name, value = _split(where, line)
            headers[name.lower()] = (name, value)
    return dict(headers.values()) or None


def _lines_of(path: str) -> list[tuple[str, str]]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(message=f"the file of headers {path} cannot be read: {why}") from error
    return [(f"the file of headers {path}", line) for line in text.splitlines()]


def _split(where: str, line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise UsageError(
            message=f"{where} has a line that is no header; nothing was sent", remedy='Write it as "NAME: VALUE"'
        )
    return name.strip(), value.strip()
