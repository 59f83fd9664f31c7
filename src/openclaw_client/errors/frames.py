"""Errors out of constructors that are given secrets.

Crash reporters show the variables of the frames that an error came through.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def without_frames(init: Callable[_P, _R]) -> Callable[_P, _R]:
    """The constructor, whose errors keep neither its frames nor those below it, and no argument of its own."""

    @wraps(init)
    def bare(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return init(*args, **kwargs)
        except Exception as failed:  # noqa: BLE001 - raised below, whatever it is
            error = failed
        del args, kwargs
        forget_frames(error)
        raise error from error.__cause__

    return bare


def forget_frames(error: BaseException) -> None:
    """Drop the frames of an error and of what it came from; what it was raised in the middle of goes altogether."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = link.__context__ = None
        link = link.__cause__
