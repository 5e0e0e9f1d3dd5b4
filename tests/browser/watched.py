"""A tab and what went wrong in it: script errors, what its policy blocked, calls that were refused."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request, Response

__all__ = ["Watched"]

#: A blocked request is no script error; said as one it is seen like any other.
_TELL_BLOCKED = """document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`blocked: ${event.effectiveDirective} ${event.blockedURI}`));"""


class Watched:
    """Watches ``page``, which may fetch from ``hosts`` only and be refused only what is ``expected``."""

    def __init__(self, page: Page, hosts: set[str], expected: set[tuple[int, str]]) -> None:
        self.faults: list[str] = []
        self._hosts = hosts
        self._expected = expected
        page.add_init_script(_TELL_BLOCKED)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._on_request)
        page.on("response", self._on_response)

    def _on_console(self, message: ConsoleMessage) -> None:
        # The browser's own line about a refused call says neither path nor status; see `_on_response`.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.faults.append(f"console: {message.text}")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme.startswith("http") and parts.netloc not in self._hosts:
            self.faults.append(f"fetched from elsewhere: {request.url}")

    def _on_response(self, response: Response) -> None:
        path = urlsplit(response.url).path
        if response.status >= 400 and (response.status, path) not in self._expected:
            self.faults.append(f"{response.status} {path}")
