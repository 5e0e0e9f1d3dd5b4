"""A line between browser and service that a test can cut: connections break in the middle, as networks do."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

__all__ = ["Relay"]

_CHUNK_BYTES = 65_536


class Relay:
    """Passes bytes between ``url`` and the service until it is cut."""

    def __init__(self, service_url: str) -> None:
        parts = urlsplit(service_url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._cut = False
        self._ended = False
        self._threads: list[threading.Thread] = []
        #: The beginning of each request the browser sent, as sent.
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        """Where the browser finds the service."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Relay:
        self._begin(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended = True
        self.cut()
        with socket.create_connection(self._listener.getsockname()):
            pass  # wakes the thread that accepts
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def cut(self) -> None:
        """Breaks every connection and refuses new ones until ``mend``."""
        with self._lock:
            self._cut = True
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Lets connections through again."""
        with self._lock:
            self._cut = False

    def _begin(self, work: object, *arguments: object) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended:
            near, _ = self._listener.accept()
            with self._lock:
                if self._cut:
                    near.close()
                    continue
                far = socket.create_connection(self._target)
                self._open += [near, far]
            self._begin(self._pass, near, far)

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
        back.start()
        self._pump(near, far)
        back.join()
        with self._lock:
            self._open.remove(near)
            self._open.remove(far)
        near.close()
        far.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Passes one direction on until it ends, then ends both."""
        outward = sink.getpeername() == self._target
        with suppress(OSError):
            while chunk := source.recv(_CHUNK_BYTES):
                if outward:
                    self.requests.append(chunk.decode("latin-1"))
                sink.sendall(chunk)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
