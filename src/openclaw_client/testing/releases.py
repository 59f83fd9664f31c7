"""Releases compare as numbers: 2026.10.1 comes after 2026.9.6, which their names as text would not tell."""

from __future__ import annotations

from openclaw_client.errors import UsageError

ReleaseKey = tuple[int, int, int]
"""Year, month, and the number within the month."""


def release_key(release: str) -> ReleaseKey:
    """A release's name as a key that sorts by age.

    Args:
        release: Such as "2026.9.6".

    Returns:
        The three numbers, here `(2026, 9, 6)`.

    Raises:
        UsageError: The name is not three numbers with dots between.
    """
    parts = release.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(message=f"{release!r} is no release", remedy='Write it as "2026.9.6"')
    year, month, number = (int(part) for part in parts)
    return year, month, number
