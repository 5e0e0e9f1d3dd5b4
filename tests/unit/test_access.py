"""Who may call what: tokens, sessions and their origin, and how long an answer is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from starlette.requests import Request

from serve_app.access import SESSION_COOKIE, PrincipalCache, authorize, secret_of
from tradetrail.errors import Forbidden, TradeTrailError, Unauthenticated
from tradetrail.tokens import Principal

TOKEN = "tt_abcdefghijkl_secret"
READER = Principal("desk", ("audit:read",))
NS = 1_000_000_000


def request(method: str = "GET", **headers: str) -> Request:
    raw = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, value in headers.items()
    ]
    return Request({"type": "http", "method": method, "path": "/", "headers": raw})


def cookie(secret: str = "tt_session") -> str:
    return f"other=1; {SESSION_COOKIE}={secret}"


def refused(asked: Request, kind: type[TradeTrailError]) -> TradeTrailError:
    with pytest.raises(kind) as caught:
        secret_of(asked)
    return caught.value


class Known:
    """Knows one secret and counts how often it is asked."""

    def __init__(self, principal: Principal = READER) -> None:
        self.holder: Principal | None = principal
        self.asked: list[str] = []

    async def principal(self, secret: str) -> Principal:
        self.asked.append(secret)
        if secret != TOKEN or self.holder is None:
            raise Unauthenticated("invalid_token", "not known")
        return self.holder


@pytest.mark.parametrize(
    "value", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} ", f"Bearer {TOKEN}\t"]
)
def test_a_bearer_token_is_taken(value: str) -> None:
    assert secret_of(request(authorization=value)) == TOKEN


@pytest.mark.parametrize("value", [f"Basic {TOKEN}", TOKEN, f"Bearer\t{TOKEN}", f"Token {TOKEN}"])
def test_other_schemes_are_refused(value: str) -> None:
    error = refused(request(authorization=value), Unauthenticated)
    assert (error.code, error.status) == ("invalid_token", 401)
    assert TOKEN not in error.detail


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer "}, {"cookie": "other=1"}])
def test_without_a_token_one_is_asked_for(headers: dict[str, str]) -> None:
    assert refused(request(**headers), Unauthenticated).code == "token_required"


def test_a_token_longer_than_any_of_ours_is_not_looked_up() -> None:
    assert len(secret_of(request(authorization="Bearer " + "x" * 512))) == 512
    error = refused(request(authorization="Bearer " + "x" * 513), Unauthenticated)
    assert error.code == "invalid_token"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_session_may_read_from_anywhere(method: str) -> None:
    # The cookie is SameSite=Strict, and what is read stays with the page that may read it.
    asked = request(method, cookie=cookie(), origin="https://elsewhere.example")
    assert secret_of(asked) == "tt_session"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "same-origin"},
        {"origin": "http://127.0.0.1:8000", "host": "127.0.0.1:8000"},
        {"origin": "https://[::1]:8000", "host": "[::1]:8000"},
    ],
)
def test_a_session_changes_something_from_our_own_page(
    method: str, headers: dict[str, str]
) -> None:
    assert secret_of(request(method, cookie=cookie(), **headers)) == "tt_session"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "127.0.0.1:8000"},
        {"host": ""},
        {"origin": "null", "host": ""},
        {"origin": "null", "host": "127.0.0.1:8000"},
        {"origin": "http://evil.example", "host": "127.0.0.1:8000"},
        {"origin": "http://127.0.0.1:8001", "host": "127.0.0.1:8000"},
        {"origin": "http://127.0.0.1:8000.evil.example", "host": "127.0.0.1:8000"},
        {"origin": "http://x@127.0.0.1:8000", "host": "127.0.0.1:8000"},
        {"origin": "http://[", "host": "["},
        {"origin": "http://[::1", "host": "127.0.0.1"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "cross-site", "origin": "http://h", "host": "h"},
    ],
)
def test_a_session_used_by_another_page_is_refused(headers: dict[str, str]) -> None:
    error = refused(request("POST", cookie=cookie(), **headers), Forbidden)
    assert (error.code, error.status) == ("cross_site", 403)


def test_a_token_needs_no_origin_and_stands_before_a_session() -> None:
    asked = request("POST", authorization=f"Bearer {TOKEN}", cookie=cookie(), origin="http://evil")
    assert secret_of(asked) == TOKEN


def test_the_scope_decides() -> None:
    asked = request(authorization=f"Bearer {TOKEN}")
    assert asyncio.run(authorize(asked, Known(), "audit:read")) == READER
    assert asyncio.run(authorize(asked, Known(), "")) == READER
    for scope in ("audit:write", "audit", "audit:rea", "AUDIT:READ"):
        with pytest.raises(Forbidden) as caught:
            asyncio.run(authorize(asked, Known(), scope))
        assert (caught.value.code, caught.value.status) == ("insufficient_scope", 403)
        assert scope in caught.value.detail


class Times:
    """Both clocks of a cache."""

    def __init__(self) -> None:
        self.monotonic_s = 100.0
        self.wall_ns = 1_000 * NS

    def cache(self, known: Known) -> PrincipalCache:
        return PrincipalCache(known, lambda: self.monotonic_s, lambda: self.wall_ns)


def ask(cache: PrincipalCache, secret: str = TOKEN) -> Principal:
    return asyncio.run(cache.principal(secret))


def test_an_answer_is_remembered_for_five_seconds() -> None:
    times, known = Times(), Known()
    cache = times.cache(known)
    assert [ask(cache), ask(cache)] == [READER, READER]
    assert known.asked == [TOKEN]
    times.monotonic_s += 4.9
    ask(cache)
    assert len(known.asked) == 1
    times.monotonic_s += 0.2
    ask(cache)
    assert len(known.asked) == 2


def test_a_revoked_key_works_no_longer_than_that() -> None:
    times, known = Times(), Known()
    cache = times.cache(known)
    ask(cache)
    known.holder = None
    assert ask(cache) == READER
    times.monotonic_s += 5.0
    with pytest.raises(Unauthenticated):
        ask(cache)


def test_a_key_that_expires_meanwhile_is_asked_about_again() -> None:
    times, known = Times(), Known(Principal("desk", ("audit:read",), 1_001 * NS))
    cache = times.cache(known)
    ask(cache)
    times.wall_ns = 1_001 * NS
    ask(cache)
    assert len(known.asked) == 2


def test_refusals_are_not_remembered_and_forgetting_asks_anew() -> None:
    known = Known()
    cache = Times().cache(known)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            ask(cache, "tt_wrong")
    assert len(known.asked) == 2
    ask(cache)
    cache.forget()
    ask(cache)
    assert len(known.asked) == 4


def test_memory_is_bounded_and_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.access._REMEMBERED_MAX", 3)
    known = Known()

    async def anyone(secret: str) -> Principal:
        return Principal(secret, ())

    monkeypatch.setattr(known, "principal", anyone)
    cache = Times().cache(known)
    for number in range(10):
        ask(cache, f"tt_{number}")
        assert len(cache._known) <= 3
    assert not any(b"tt_" in digest for digest in cache._known)


def test_each_secret_has_its_own_answer() -> None:
    holders: dict[str, Callable[[], Principal]] = {"a": lambda: READER}

    class Two(Known):
        async def principal(self, secret: str) -> Principal:
            if secret not in holders:
                raise Unauthenticated("invalid_token", "not known")
            return holders[secret]()

    cache = Times().cache(Two())
    assert ask(cache, "a") == READER
    with pytest.raises(Unauthenticated):
        ask(cache, "b")
    with pytest.raises(Unauthenticated):
        ask(cache, "\udcff")
