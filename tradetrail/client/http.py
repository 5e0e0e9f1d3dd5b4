"""One service over HTTP: its address, its token, and its failures as our errors.

Here the HTTP library's exceptions and RFC 9457 problem documents become the tree of
``tradetrail.errors``, once. A GET that failed in passing is asked again a few times; everything
else is sent once, because only its caller knows whether sending again is safe.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import httpx2
import msgspec

from tradetrail import __version__
from tradetrail.client.backoff import SYSTEM_TIMING, Backoff, Timing
from tradetrail.errors import (
    Backpressure,
    Conflict,
    Forbidden,
    Gone,
    Internal,
    Invalid,
    NotFound,
    StorageFull,
    TradeTrailError,
    Unauthenticated,
    Unavailable,
)

__all__ = [
    "RETRY_STATUSES",
    "HttpService",
    "Query",
    "is_local",
    "problem_of",
    "retry_after_s",
    "unreachable",
]

#: Query parameters in order; a name may repeat.
Query = Sequence[tuple[str, str]]

#: Answers after which the same call may be sent again. HAProxy turns its own 502 to 504 into 500.
RETRY_STATUSES = frozenset({408, 429, 500, 502, 503, 504, 507})

#: Tries of a GET, the first included; a page must not fail because one replica was replaced.
_GET_TRIES = 4
#: A service that asks for a longer pause is reported to the caller instead of waited for.
_GET_PAUSE_S_MAX = 5.0
_CONNECT_TIMEOUT_S = 5.0
#: A page ends at a scan budget, so a healthy answer begins well before this.
_ANSWER_TIMEOUT_S = 30.0
#: Longest text of the other side that goes into an error message.
_DETAIL_CHARS_MAX = 500

_CLASSES: dict[int, type[TradeTrailError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    429: Backpressure,
    500: Internal,
    502: Unavailable,
    503: Backpressure,
    504: Unavailable,
    507: StorageFull,
}


class _Problem(msgspec.Struct):
    """The members of a problem document that are read."""

    code: str = ""
    title: str = ""
    detail: str = ""
    pointer: str = ""


_problem = msgspec.json.Decoder(_Problem)


class HttpService:
    """Calls to one service. Not safe to share between threads.

    Args:
        url: ``http://`` or ``https://`` address of the service.
        token: bearer token; empty sends none.
        transport: replaces the network in tests.
        timing: clock, sleep and randomness.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        timing: Timing = SYSTEM_TIMING,
    ) -> None:
        self.url = _checked_url(url)
        self.timing = timing
        headers = {"User-Agent": f"tradetrail/{__version__}", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {_checked_token(token)}"
        self._client = httpx2.Client(
            base_url=self.url,
            headers=headers,
            transport=transport,
            timeout=httpx2.Timeout(_ANSWER_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
            # A proxy of the environment is never the way to this machine.
            trust_env=not is_local(self.url),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections."""
        self._client.close()

    def get(self, path: str, query: Query = ()) -> httpx2.Response:
        """A whole answer with a 2xx status, asked for again where a failure passes.

        Raises:
            TradeTrailError: the class says what to do next.
        """
        backoff = Backoff(self.timing.random)
        for tries_left in range(_GET_TRIES - 1, -1, -1):
            pause_s = 0.0
            try:
                response = self.raw("GET", path, query=query)
            except httpx2.TransportError as exc:
                if tries_left == 0 or isinstance(exc, _NOT_PASSING):
                    raise unreachable(self.url, exc) from exc
            else:
                if response.is_success:
                    return response
                pause_s = retry_after_s(response)
                passing = response.status_code in RETRY_STATUSES and pause_s <= _GET_PAUSE_S_MAX
                if tries_left == 0 or not passing:
                    raise problem_of(response)
            self.timing.sleep(backoff.next_s(pause_s))
        raise AssertionError("the last try returns or raises")

    def send(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """One call, sent once; a whole answer with a 2xx status.

        Raises:
            TradeTrailError: the class says what to do next.
        """
        try:
            response = self.raw(method, path, content=content, headers=headers)
        except httpx2.TransportError as exc:
            raise unreachable(self.url, exc) from exc
        if not response.is_success:
            raise problem_of(response)
        return response

    def raw(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """One call and whatever was answered; raises the HTTP library's own transport errors."""
        return self._client.request(
            method, path, params=_parameters(query), content=content or None, headers=headers
        )

    @contextlib.contextmanager
    def stream(
        self,
        path: str,
        query: Query,
        headers: Mapping[str, str],
        silence_s: float,
    ) -> Iterator[httpx2.Response]:
        """A GET whose body is read while it arrives; only 2xx answers come through.

        Args:
            path: of the route.
            query: parameters.
            headers: added to the usual ones.
            silence_s: the connection counts as lost when nothing arrives for so long.

        Raises:
            TradeTrailError: here, or out of the block where the connection breaks while it is read.
        """
        timeout = httpx2.Timeout(silence_s, connect=_CONNECT_TIMEOUT_S)
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        try:
            with self._client.stream(
                "GET", path, params=_parameters(query), headers=encoded, timeout=timeout
            ) as response:
                if not response.is_success:
                    response.read()
                    raise problem_of(response)
                yield response
        except (httpx2.TransportError, httpx2.DecodingError) as exc:
            raise unreachable(self.url, exc) from exc


#: Nobody listens there, or the call cannot be made at all: asking again at once is no help.
_NOT_PASSING = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)


def problem_of(response: httpx2.Response) -> TradeTrailError:
    """The error that a refused answer stands for; its body must have been read."""
    status = response.status_code
    problem = _Problem()
    with contextlib.suppress(msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        problem = _problem.decode(response.content)
    detail = problem.detail or problem.title or f"the service answered with HTTP status {status}"
    if status == 404 and not problem.code:
        # Serve's own proxy answers so while the service starts; an address of something else does too.
        return Unavailable(
            "not_ready",
            "what answers there is not the service, or it is still starting; is the address right?",
        )
    kind = _CLASSES.get(status, Invalid if 400 <= status < 500 else Internal)
    if kind is Internal and not problem.code:
        # Not the service's own words: something on the way says that the service is away.
        kind = Unavailable if status >= 500 else Internal
    return kind(
        problem.code or f"http_{status}",
        detail[:_DETAIL_CHARS_MAX],
        status,
        problem.pointer[:_DETAIL_CHARS_MAX],
        retry_after_s(response),
    )


def retry_after_s(response: httpx2.Response) -> int:
    """Whole seconds of ``Retry-After``; 0 where it is absent or not a number of seconds."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 6:
        return int(text)
    return 0


def unreachable(url: str, exc: Exception) -> TradeTrailError:
    """What a failure of the connection means for the caller."""
    if isinstance(exc, httpx2.ConnectError | httpx2.ConnectTimeout):
        words = "no service answers there; is it running, and is the address right?"
    elif isinstance(exc, httpx2.TimeoutException):
        words = "the service did not answer in time; the outcome is unknown, try again"
    elif isinstance(exc, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
        return Invalid("not_sendable", f"{url}: this call cannot be sent over HTTP")
    else:
        words = "the connection broke before the answer was complete; try again"
    return Unavailable("unreachable", f"{url}: {words}")


def is_local(url: str) -> bool:
    """Whether an address names this machine itself."""
    try:
        host = httpx2.URL(url).host
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except (httpx2.InvalidURL, ValueError):
        return False


def _checked_url(url: str) -> str:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as exc:
        raise Invalid("bad_url", f"the service's address is not a URL: {exc}") from exc
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise Invalid(
            "bad_url", "the service's address must look like http://host:port or https://host"
        )
    return url.rstrip("/")


def _checked_token(token: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Invalid(
            "bad_token", "the token holds characters that no token has; was it copied in whole?"
        )
    return token


def _parameters(query: Query) -> httpx2.QueryParams | None:
    for name, value in query:
        try:
            value.encode()
        except UnicodeEncodeError as exc:
            raise Invalid("not_unicode", f"the value of {name} is not valid Unicode text") from exc
    return httpx2.QueryParams(list(query)) if query else None
