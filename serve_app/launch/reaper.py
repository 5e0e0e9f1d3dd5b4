"""A small process that outlives the launcher and clears up behind it, however it ended.

It waits for the end of its standard input, a pipe that only the launcher holds: that is the launcher's end, by
``kill -9`` too. Then it ends what still belongs to the service and removes the run folder. Most of Ray's
processes end with their parent; the agents do not.

It lives in a session of its own, so that a signal to the launcher's group does not reach it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from serve_app.launch.processes import end, left_behind

__all__ = ["main", "start_reaper"]

#: Ray's own processes need about two seconds to notice.
_GRACE_S = 3.0
#: A process that is being ended can still start another one.
_PASSES = 5


def start_reaper(run_folder: Path) -> subprocess.Popen[bytes]:
    """Starts the reaper of ``run_folder``; closing its ``stdin`` sets it to work.

    To be called before the run folder is put into the environment: the reaper is no part of the service.
    """
    return subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-I", "-m", __name__, str(run_folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main(run_folder: Path) -> None:
    """Waits for the launcher's end, then clears up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    for _ in range(_PASSES):
        # The launcher is spared where it still lives: it waits for this process.
        pids = left_behind(run_folder) - {os.getppid()}
        if not pids:
            break
        end(pids, _GRACE_S)
    shutil.rmtree(run_folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
