"""A page with the reports that an agent made in one session.

    OPENCLAW_GATEWAY_URL=… OPENCLAW_GATEWAY_TOKEN=… REPORT_SESSION=agent:main:reports python -m examples.report_page

What an agent made is a stranger's file: a page that opened it as HTML would run its scripts with the reader's cookies.
Text is shown as plain text here, and everything else is saved. Add your own sign-in before others can reach it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from urllib.parse import quote

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from openclaw_client import AsyncGatewayClient
from openclaw_client.errors import FileGone, FileTooLarge

SESSION = os.environ.get("REPORT_SESSION", "agent:main:reports")
TEXTS = ("text/plain", "text/csv", "text/markdown")
SAFELY = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox", "Cache-Control": "private"}
# The list itself is in no sandbox: browsers save nothing for a page that is in one.
LIST = {**SAFELY, "Content-Security-Policy": "default-src 'none'"}


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncGatewayClient(sessions=[SESSION]) as app.state.client:
        yield


app = FastAPI(lifespan=connected)


@app.get("/")
async def reports(request: Request) -> HTMLResponse:
    files = await request.app.state.client.files(session_key=SESSION)
    rows = [f'<li><a href="/reports/{quote(file.artifact_id, safe="")}">{escape(file.name)}</a>' for file in files]
    return HTMLResponse(f"<!doctype html><title>Reports</title><ul>{''.join(rows)}</ul>", headers=LIST)


@app.get("/reports/{ident}")
async def report(request: Request, ident: str) -> Response:
    client = request.app.state.client
    file = next((one for one in await client.files(session_key=SESSION) if one.artifact_id == ident), None)
    if file is None:
        raise HTTPException(404, "There is no such report.")
    try:
        data = await client.download(file)
    except FileGone:
        raise HTTPException(404, "This report is there no more.") from None
    except FileTooLarge:
        raise HTTPException(413, "This report is too large for this page.") from None
    if file.mime_type in TEXTS:
        return Response(data, media_type="text/plain; charset=utf-8", headers=SAFELY)
    name = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    return Response(data, media_type="application/octet-stream", headers={**SAFELY, "Content-Disposition": name})


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=8000)
