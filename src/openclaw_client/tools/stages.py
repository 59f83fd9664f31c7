"""What is done for one call: whose it is, its arguments, whether it is approved, the function itself; and what comes
of it.

The order is the same in threads and in coroutines. A step is a function with its arguments; whoever runs the steps
sends back what each of them gave.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from openclaw_client.errors import UsageError
from openclaw_client.logs import GuardedLogger
from openclaw_client.tools.call import ToolCall
from openclaw_client.tools.calls import REFUSED, CallAnswer, words
from openclaw_client.tools.results import ToolError, content_of, error_text
from openclaw_client.tools.tool import Tool

logger = GuardedLogger("openclaw_client.tools")

UserOf = Callable[[str], Any]
"""Gives whose session a key is of; None where it is nobody's."""

Steps = Generator[Callable[[], Any], Any, Any]


class CallRefused(ToolError):
    """The call is nobody's; no function was called."""


def steps_of(tool: Tool[..., Any], call: ToolCall, user_of: UserOf | None, finish: Callable[[object], Any]) -> Steps:
    """The steps of one call; what they come to is what finish makes of the function's result.

    Raises ToolError, and what the functions raise.
    """
    if user_of is not None:
        call.user = yield partial(_user, user_of, call.session_key, tool.name)
        if call.user is None:
            raise _nobody(tool.name)
    args, kwargs = tool.bind(call)
    if tool.approve is not None and not (yield partial(tool.approve, call)):
        raise ToolError(f"{tool.name} was not approved and not called.")
    if call.cancelled:
        # The agent was told so, and may have called again: a thread that asked for the approval goes on all the same.
        raise ToolError(f"{tool.name} was given up before it was called.")
    return finish((yield partial(tool.function, *args, **kwargs)))


def _user(user_of: UserOf, session_key: str | None, tool: str) -> Any:
    if session_key is None:
        raise _nobody(tool)
    return user_of(session_key)


def _nobody(tool: str) -> CallRefused:
    return CallRefused(f"{tool} is not for this session")


def go_on(steps: Steps, sent: Any = None, error: BaseException | None = None) -> tuple[bool, Any]:
    """Run steps here until the end, or until one gives something to await: whether it is the end, and what was given.

    sent: what was awaited came to, error: what it raised. Raises what the steps raise.
    """
    try:
        step = steps.send(sent) if error is None else steps.throw(error)
        while True:
            try:
                result = step()
            except BaseException as raised:  # noqa: BLE001 - raised where the step was asked for
                step = steps.throw(raised)
                continue
            if inspect.isawaitable(result):
                return False, result
            step = steps.send(result)
    except StopIteration as end:
        return True, end.value


def run_blocking(steps: Steps) -> Any:
    """Run all steps here. What has to be awaited is no result, and no yes either."""
    over, result = go_on(steps)
    while not over:
        if inspect.iscoroutine(result):
            result.close()
        wrong = UsageError(
            message="it gave something to await, which a blocking host cannot do", remedy="Use AsyncToolHost"
        )
        over, result = go_on(steps, error=wrong)
    return result


def answer_for(value: object, max_bytes: int) -> CallAnswer:
    """What a function returned, as it is sent. Raises ToolError."""
    return CallAnswer(tuple(content_of(value, max_bytes=max_bytes)))


def failure(tool: Tool[..., Any], error: BaseException, host: str) -> CallAnswer:
    """What the agent is told of an exception, which is logged where it is none of those that are meant for the
    agent."""
    if isinstance(error, CallRefused):
        logger.warning("a call of %s was refused: its session is nobody's", tool.name)
        return CallAnswer(code=REFUSED, message=str(error))
    if isinstance(error, ToolError):
        return words(error_text(tool.name, error, host=host))
    logger.error("the tool %s raised", tool.name, exc_info=error)
    return words(error_text(tool.name, error, host=host), type(error).__name__)
