"""The web side: pages, sign-in, one feed and a few actions per user. Knows HTTP; refuses to know the gateway's wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from html import escape
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, quote

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from examples.webchat import words
from examples.webchat.accounts import COOKIE, LIFETIME, Accounts
from examples.webchat.asks import BadAnswer
from examples.webchat.conversation import Conversation, Conversations, TooMany
from examples.webchat.desk import Answering
from examples.webchat.guard import Guard
from openclaw_client import GatewayError
from openclaw_client.errors import FileGone, FileTooLarge

STATIC: Final = Path(__file__).parent / "static"
RETRY: Final = 1000
"""Milliseconds after which a browser asks again for a feed that broke off."""
MAX_MESSAGE: Final = 20_000
"""Characters of a message: ten pages. What is longer is a file."""
MAX_BODY: Final = 6 * MAX_MESSAGE + 1024
"""Bytes of a request: a character takes up to six in JSON."""

Open = Callable[[], AbstractAsyncContextManager[Conversations]]


def create_app(
    open_conversations: Open, accounts: Accounts, *, hosts: tuple[str, ...], hints: tuple[str, ...]
) -> FastAPI:
    """The application.

    open_conversations: entered when the server starts, left when it ends. hosts: names under which the server may be
    asked for. hints: messages that an empty conversation offers.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_conversations() as conversations:
            app.state.conversations = conversations
            yield

    app = FastAPI(title="Webchat", lifespan=lifespan, openapi_url=None)
    app.state.accounts = accounts
    app.state.hints = hints
    # A foreign site that points a name of its own at this machine would otherwise be let in as this site.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    app.add_middleware(Guard)
    app.mount("/static", StaticFiles(directory=STATIC))
    _add_pages(app)
    _add_api(app)
    _add_answers(app)
    _add_files(app)
    return app


async def current_user(request: Request) -> str:
    """The name that the cookie proves; 401 for none."""
    accounts: Accounts = request.app.state.accounts
    user = accounts.who(request.cookies.get(COOKIE))
    if user is None:
        raise HTTPException(401, "Sign in first.")
    return user


async def current_conversation(request: Request, user: Annotated[str, Depends(current_user)]) -> Conversation:
    """The user's own, and no other can be named."""
    conversations: Conversations = request.app.state.conversations
    return conversations.of(user)


Mine = Annotated[Conversation, Depends(current_conversation)]


# Pages.


def _add_pages(app: FastAPI) -> None:
    @app.get("/", response_class=HTMLResponse)
    async def page(request: Request) -> str:
        accounts: Accounts = request.app.state.accounts
        if accounts.who(request.cookies.get(COOKIE)) is None:
            return _sign_in_page(accounts.names)
        hints = json.dumps(request.app.state.hints)
        return _template("chat.html").replace("%hints%", escape(hints)).replace("%limit%", str(MAX_MESSAGE))

    @app.post("/sign-in", response_class=RedirectResponse)
    async def sign_in(request: Request) -> Response:
        accounts: Accounts = request.app.state.accounts
        name = parse_qs((await _body(request)).decode("utf-8", "replace")).get("user", [""])[0]
        if name not in accounts.names:
            return HTMLResponse(_sign_in_page(accounts.names, "Nobody of that name is known here."), 403)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE,
            accounts.cookie(name),
            max_age=LIFETIME,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    @app.post("/sign-out", response_class=RedirectResponse)
    async def sign_out() -> Response:
        response = RedirectResponse("/", 303)
        response.delete_cookie(COOKIE)
        return response


def _template(name: str) -> str:
    return (STATIC.parent / "pages" / name).read_text(encoding="utf-8")


def _sign_in_page(names: tuple[str, ...], problem: str = "") -> str:
    badge = '<span class="badge" aria-hidden="true">{0}</span>'
    buttons = "\n".join(
        f'<li><button name="user" value="{escape(name)}">{badge.format(escape(name[0]))}{escape(name)}</button></li>'
        for name in names
    )
    return _template("sign-in.html").replace("%accounts%", buttons).replace("%problem%", escape(problem))


# What the page asks for.


def _add_api(app: FastAPI) -> None:
    @app.get("/api/events", response_class=EventSourceResponse)
    async def events(
        mine: Mine, after: str | None = None, last_event_id: Annotated[str | None, Header()] = None
    ) -> AsyncIterable[ServerSentEvent]:
        yield ServerSentEvent(retry=RETRY)
        # The header comes from a browser that reconnects by itself, the parameter from a page that had to begin anew.
        async for told in mine.follow(last_event_id or after):
            yield ServerSentEvent(raw_data=told.data, event=told.name, id=told.id)

    @app.get("/api/me")
    async def me(user: Annotated[str, Depends(current_user)]) -> dict[str, str]:
        return {"user": user}

    @app.post("/api/messages", status_code=202)
    async def send(mine: Mine, request: Request) -> dict[str, str]:
        text, key = _message(await _json(request))
        try:
            return {"id": mine.send(text, key)}
        except TooMany:
            raise HTTPException(429, "Wait for the replies to your messages first.") from None

    @app.post("/api/messages/{ident}/abort")
    async def abort(mine: Mine, ident: str) -> dict[str, bool]:
        try:
            return {"aborted": await mine.abort(ident)}
        except GatewayError as error:
            raise HTTPException(503, words.explain(error)) from error

    @app.post("/api/messages/{ident}/again", status_code=202)
    async def again(mine: Mine, ident: str) -> dict[str, bool]:
        if not mine.again(ident):
            raise HTTPException(409, "There is nothing to send again.")
        return {"sent": True}

    @app.post("/api/reconnect", status_code=202)
    async def reconnect(mine: Mine) -> dict[str, bool]:
        await mine.retry_now()
        return {"trying": True}


def _add_answers(app: FastAPI) -> None:
    # An id is the gateway's, which may put a slash into it.
    @app.post("/api/answers/{ident:path}")
    async def answer(mine: Mine, ident: str, request: Request) -> dict[str, Any]:
        body = await _json(request)
        try:
            return await mine.desk.answer(ident, body)
        except KeyError:
            # The same words for what is somebody else's and for what never was.
            raise HTTPException(404, "Nothing of this name was asked here.") from None
        except BadAnswer as error:
            raise HTTPException(400, str(error)) from None
        except Answering:
            raise HTTPException(409, "An answer is on its way already.") from None
        except GatewayError as error:
            raise HTTPException(503, words.explain_answer(error)) from error


def _add_files(app: FastAPI) -> None:
    # An id is the gateway's, which may put a slash into it.
    @app.get("/api/files/{ident:path}")
    async def file(mine: Mine, ident: str) -> Response:
        try:
            found, data = await mine.file(ident)
        except (KeyError, FileGone):
            # The same words for what is somebody else's and for what never was.
            raise HTTPException(404, "No file of this name is here.") from None
        except FileTooLarge:
            raise HTTPException(413, "The file is too large for this page.") from None
        except GatewayError as error:
            raise HTTPException(503, words.explain(error)) from error
        # A stranger's file: saved, never shown, and by no type that a browser would open.
        name = f"attachment; filename*=UTF-8''{quote(found.name or 'file', safe='')}"
        return Response(data, media_type="application/octet-stream", headers={"Content-Disposition": name})


def _message(body: Any) -> tuple[str, str]:
    """The text and the page's key for it, checked; 400 or 413 otherwise."""
    text, key = (body.get("text"), body.get("key")) if isinstance(body, dict) else (None, None)
    if not isinstance(text, str) or not isinstance(key, str) or not 8 <= len(key) <= 64:
        raise HTTPException(400, "A message has a text and a key.")
    if not text.strip():
        raise HTTPException(400, "The message is empty.")
    if len(text) > MAX_MESSAGE:
        raise HTTPException(413, f"The message has {len(text)} characters; {MAX_MESSAGE} are allowed.")
    # A NUL is refused by gateways, and half a surrogate pair, which JSON can spell, is no text at all.
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text + key):
        raise HTTPException(400, "The message holds a character that is no text.")
    return text, key


async def _json(request: Request) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "Send JSON.")
    try:
        return json.loads(await _body(request))
    except (ValueError, RecursionError):
        raise HTTPException(400, "This is no JSON.") from None


async def _body(request: Request) -> bytes:
    """The body, read no further than anything legitimate goes."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"The request has more than {MAX_BODY} bytes.")
    return bytes(body)
