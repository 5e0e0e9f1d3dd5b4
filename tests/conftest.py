"""What every room of the tests shares."""

from __future__ import annotations

from hypothesis import settings

# The same examples on every run and every machine; a slow machine is no failure.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
