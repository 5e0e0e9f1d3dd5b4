"""The object store: a small interface, and the local folder that keeps its promises with every fsync.

``put_if_absent`` is the one operation that decides races; everything else is plain. The local folder writes a
temporary file, syncs it, links it without overwriting, and syncs the folder and every parent it made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from storage.folders import sync_folder
from tradetrail.errors import Internal, NotFound, StorageFull

__all__ = ["LocalFolder", "ObjectStore"]

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\Z")
_ENOSPC = 28


class ObjectStore(Protocol):
    """Named immutable blobs. Every method is safe to call from several threads and processes."""

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Durable on return; ``False`` where the key was there, which then keeps its content."""

    def put(self, key: str, content: bytes) -> None:
        """Replace or make, atomically; durable on return."""

    def get(self, key: str) -> bytes:
        """The whole object; raises ``NotFound``."""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``start``; raises ``NotFound``."""

    def exists(self, key: str) -> bool:
        """Whether the key is there."""

    def list(self, prefix: str) -> list[str]:
        """Keys below a folder prefix that ends in ``/``, sorted."""

    def delete(self, key: str) -> None:
        """Remove; no error where it is absent. Durable on return."""


class LocalFolder:
    """An object store in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """See ``ObjectStore.put_if_absent``."""
        target = self._path(key)
        with self._written(target, content) as temporary:
            try:
                os.link(temporary, target)
                made = True
            except FileExistsError:
                made = False
            # Also for the loser: what it finds there must not vanish with a power cut before the winner's sync.
            sync_folder(target.parent)
        return made

    def put(self, key: str, content: bytes) -> None:
        """See ``ObjectStore.put``."""
        target = self._path(key)
        with self._written(target, content) as temporary:
            temporary.replace(target)
            sync_folder(target.parent)

    def get(self, key: str) -> bytes:
        """See ``ObjectStore.get``."""
        with _translated(key):
            return self._path(key).read_bytes()

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """See ``ObjectStore.get_range``."""
        with _translated(key), self._path(key).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def exists(self, key: str) -> bool:
        """See ``ObjectStore.exists``."""
        return self._path(key).is_file()

    def list(self, prefix: str) -> list[str]:
        """See ``ObjectStore.list``."""
        folder = self._path(prefix.rstrip("/"))
        return sorted(
            path.relative_to(self._root).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        )

    def delete(self, key: str) -> None:
        """See ``ObjectStore.delete``."""
        path = self._path(key)
        with _translated(key):
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent)

    def _path(self, key: str) -> Path:
        assert _KEY.match(key), f"not an object key: {key!r}"
        return self._root / key

    @contextmanager
    def _written(self, target: Path, content: bytes) -> Iterator[Path]:
        """A synced temporary file beside the target, gone afterwards unless it was renamed."""
        with _translated(target.name):
            _make_folder(target.parent)
            temporary = target.parent / f".{target.name}.{os.urandom(6).hex()}"
            try:
                with temporary.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                yield temporary
            finally:
                temporary.unlink(missing_ok=True)


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("object_missing", f"The object {key} is not on the object store.") from error
    except OSError as error:
        if error.errno == _ENOSPC:
            raise StorageFull(
                "disk_full", f"Writing the object {key} failed: the disk is full."
            ) from error
        raise Internal("object_store_error", f"The object {key}: {error.strerror}.") from error


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each name synced into the one above it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
