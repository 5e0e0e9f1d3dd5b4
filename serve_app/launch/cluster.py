"""Ray and Serve of one machine, embedded in this process: started, watched, stopped.

Importing this module imports Ray: the environment must be in place before (``serve_app.launch.environment``).
Nothing here knows the service's actors or applications.
"""

from __future__ import annotations

import atexit
import logging
import os
import select
import shutil
from pathlib import Path

import ray
from ray import serve

from serve_app.launch.ports import PortBlock
from serve_app.launch.processes import descendants
from tradetrail.errors import Internal
from tradetrail.names import NAMESPACE

__all__ = ["Cluster"]

_MIB = 1024 * 1024
#: Results travel by value or in pieces; the object store only holds what is on its way.
_OBJECT_STORE_BYTES = 256 * _MIB
#: Ray refuses less than 75 MiB.
_OBJECT_STORE_BYTES_LEAST = 80 * _MIB
#: Without these two, as Linux names them, nothing is left of the cluster.
_VITAL = ("gcs_server", "raylet")


class Cluster:
    """A running one-node Ray. ``stop`` ends everything that ``start`` began."""

    def __init__(self) -> None:
        #: Process descriptors of the vital processes by name; readable once the process has ended.
        self._vital: dict[int, str] = {}

    def start(self, temp_folder: Path, ports: PortBlock) -> None:
        """Starts Ray in this process and waits until it answers.

        Args:
            temp_folder: short; Ray keeps sessions, sockets and logs below it.
            ports: the block claimed for this service.

        Raises:
            Internal: Ray's own processes are not to be found afterwards.
        """
        # Serve reports each step of a deployment; what matters of it we print ourselves.
        logging.getLogger("ray").setLevel(logging.WARNING)
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        ray.init(
            address="local",
            # Placement counts, not a share: a replica and a report must fit on one core as well.
            num_cpus=max(4, len(os.sched_getaffinity(0))),
            object_store_memory=_object_store_bytes(),
            include_dashboard=False,
            dashboard_port=ports.dashboard,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.WARNING,
            _temp_dir=str(temp_folder),
            _metrics_export_port=ports.ray_metrics,
            # Spilled objects would be audit data in clear on the disk.
            _system_config={"automatic_object_spilling_enabled": False},
        )
        self._watch()

    def descriptors(self) -> list[int]:
        """Descriptors to select on: one that becomes readable means that Ray has died."""
        return list(self._vital)

    def dead(self) -> list[str]:
        """Names of the vital processes that have ended."""
        if not self._vital:
            return []
        ended = select.select(list(self._vital), [], [], 0)[0]
        return [self._vital[descriptor] for descriptor in ended]

    def stop_serving(self) -> None:
        """Asks Serve to drain and end its applications; returns when they are gone."""
        if ray.is_initialized():
            serve.shutdown()  # type: ignore[no-untyped-call]  # untyped in Ray

    def stop(self) -> None:
        """Ends Ray with all its processes; safe to call twice."""
        for descriptor in self._vital:
            os.close(descriptor)
        self._vital = {}
        ray.shutdown()

    def abandon(self) -> None:
        """Leaves Ray as it is, dead or dying: no good-bye at exit, which would wait for answers."""
        atexit.unregister(ray.shutdown)

    def _watch(self) -> None:
        for pid in descendants():
            try:
                name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
                if name in _VITAL:
                    self._vital[os.pidfd_open(pid)] = name
            except (FileNotFoundError, ProcessLookupError):
                continue
        if sorted(self._vital.values()) != sorted(_VITAL):
            raise Internal(
                "ray_not_started",
                f"Ray started, but of its processes only {sorted(self._vital.values())} were found; "
                "this Ray version is not supported, install the locked one",
            )


def _object_store_bytes() -> int:
    """As much as shared memory allows: what does not fit would be a file under ``/tmp``."""
    free = shutil.disk_usage("/dev/shm").free  # noqa: S108  # where Ray keeps its object store
    return max(_OBJECT_STORE_BYTES_LEAST, min(_OBJECT_STORE_BYTES, int(free * 0.8)))
