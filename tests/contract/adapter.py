"""A program that uses PyPI openclaw-webchat-adapter: python adapter.py URL TOKEN MESSAGE. Prints what it got."""

from __future__ import annotations

import json
import sys

from openclaw_webchat_adapter.api.client import OpenClawWebChatAPI  # type: ignore[import-not-found]

# Printed by the adapter itself are its signature and the whole hello-ok: what is ours stands behind this mark.
MARK = "came back: "


def main(url: str, token: str, message: str) -> None:
    chat = OpenClawWebChatAPI.create_connected_from_env(url=url, token=token)
    try:
        pieces = list(chat.stream_chat(message))
        rows = chat.get_chat_history("agent:main:main").messages
    finally:
        chat.close()
    said = [[row.role, "".join(part.text for part in row.content)] for row in rows]
    print(MARK + json.dumps({"reply": "".join(pieces), "history": said}))


if __name__ == "__main__":
    main(*sys.argv[1:])
