"""Work that outlives the request that began it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

__all__ = ["detached"]


def detached(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that belongs to no request.

    Serve cancels what a request has called when its client goes away, and knows it by context variables: with
    an empty context nothing of the work is taken for a part of the request.
    """
    return asyncio.get_running_loop().create_task(work, context=contextvars.Context())
