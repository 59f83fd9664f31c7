"""The seed is that of all chaos."""

from __future__ import annotations

from tests.chaos.conftest import chaos_seed

__all__ = ["chaos_seed"]
