"""Stops the service of a data folder from another process, and no other.

The process is taken from the folder while its lock is held, and is signalled and waited for through a
process descriptor: a number that was given to someone else meanwhile cannot be hit.
"""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

from serve_app.launch.folder import running_service
from tradetrail.errors import NotFound, Unavailable

__all__ = ["stop_service"]


def stop_service(data: Path, timeout_s: float) -> int:
    """Sends SIGTERM to the service on ``data``, waits until it has ended, and returns its process id.

    Raises:
        NotFound: no service runs on that folder.
        Unavailable: it has not ended within ``timeout_s`` seconds; it was told to and may still.
    """
    service = running_service(data)
    if service is None:
        raise NotFound("not_running", f"no service runs on {data}; name its folder with --data")
    try:
        descriptor = os.pidfd_open(service.pid)
    except ProcessLookupError:
        return service.pid
    try:
        if running_service(data) != service:
            return service.pid
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        if not select.select([descriptor], [], [], timeout_s)[0]:
            raise Unavailable(
                "still_stopping",
                f"process {service.pid} has not ended within {timeout_s:g} s; wait, or run this again "
                "to hurry it",
            )
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)
    return service.pid
