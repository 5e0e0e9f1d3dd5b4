"""API keys, codes and sessions: their form, their end, and that only hashes are ever compared."""

from __future__ import annotations

import base64
import hashlib
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.control import SESSION_S, Credentials
from storage.control_store import ControlStore, Credential
from tradetrail.errors import Invalid, NotFound, Unauthenticated
from tradetrail.tokens import SCOPES, new_token, token_hash, token_id

NS = 1_000_000_000
START_NS = 1_700_000_000 * NS


class Drawn:
    """Bytes that look random and are the same each time."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_128(str(self._count).encode()).digest(size)


class Desk:
    """Credentials with a clock that the test moves."""

    def __init__(self, path: Path) -> None:
        self.now_ns = START_NS
        self.store = ControlStore(path, bytes(32))
        self.credentials = Credentials(self.store, lambda: self.now_ns, Drawn())

    def wait(self, seconds: int) -> None:
        self.now_ns += seconds * NS

    def key(self, *scopes: str, lifetime_s: int = 0) -> tuple[str, str]:
        return self.credentials.create_key("desk", scopes or ("audit:read",), lifetime_s)

    def listed(self) -> list[Credential]:
        return self.credentials.keys()

    def refused(self, secret: str) -> str:
        with pytest.raises(Unauthenticated) as caught:
            self.credentials.principal(secret)
        assert (caught.value.code, caught.value.status) == ("invalid_token", 401)
        assert not secret or secret not in str(caught.value)
        return caught.value.detail


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "control")
    yield made
    made.store.close()


def test_a_token_has_its_form_and_256_bits_of_secret() -> None:
    drawn: list[int] = []

    def random(size: int) -> bytes:
        drawn.append(size)
        return bytes(range(size))

    token = new_token(random)
    assert re.fullmatch(r"tt_[a-z2-7]{12}_[A-Za-z0-9_-]{43}", token)
    assert drawn[-1] == 32
    assert base64.urlsafe_b64decode(token[16:] + "=") == bytes(range(32))
    assert token_id(token) == token[3:15]


def test_two_tokens_differ_in_both_parts() -> None:
    random = Drawn()
    one, other = new_token(random), new_token(random)
    assert token_id(one) != token_id(other)
    assert one[16:] != other[16:]


def test_an_underscore_in_the_secret_does_not_reach_the_id() -> None:
    token = new_token(lambda size: b"\xff" * size)
    assert token[16:].startswith("___")
    assert token_id(token) == token[3:15]


def test_a_hash_is_sha_256_of_the_whole_text_and_takes_any_text() -> None:
    assert token_hash("tt_a_b") == hashlib.sha256(b"tt_a_b").digest()
    assert (
        len({token_hash(text) for text in ("", "tt_a_b", "tt_a_b ", "tt_a_B", "\ud800", "ä")}) == 6
    )


def test_a_key_names_its_holder_and_scopes(desk: Desk) -> None:
    secret, key_id = desk.key("audit:read", "audit:export")
    found = desk.credentials.principal(secret)
    assert (found.name, found.scopes, found.expires_ns) == (
        "desk",
        ("audit:read", "audit:export"),
        0,
    )
    assert key_id == token_id(secret)


def test_only_the_hash_of_what_was_sent_is_looked_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, _ = desk.key()
    asked: list[bytes] = []
    find = desk.store.find

    def record(secret_hash: bytes) -> object:
        asked.append(secret_hash)
        return find(secret_hash)

    monkeypatch.setattr(desk.store, "find", record)
    near = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    desk.credentials.principal(secret)
    desk.refused(near)
    # No text of a secret is compared, so no comparison can be timed: a near miss has another hash.
    assert asked == [token_hash(secret), token_hash(near)]


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: "",
        lambda secret: "tt_",
        lambda secret: secret[:-1],
        lambda secret: secret + "x",
        lambda secret: secret.upper(),
        lambda secret: " " + secret,
        lambda secret: secret.replace("tt_", "TT_"),
        lambda secret: secret[:16],
        lambda secret: secret + "\0",
        lambda secret: "\udcff",
    ],
)
def test_a_malformed_or_changed_token_is_unknown(desk: Desk, change: object) -> None:
    secret, _ = desk.key()
    assert callable(change)
    assert "not known" in desk.refused(change(secret))


def test_a_key_ends_at_its_time_and_not_before(desk: Desk) -> None:
    secret, _ = desk.key(lifetime_s=60)
    desk.wait(59)
    assert desk.credentials.principal(secret).expires_ns == START_NS + 60 * NS
    desk.wait(1)
    assert "expired" in desk.refused(secret)


def test_a_clock_that_steps_back_does_not_end_a_key(desk: Desk) -> None:
    secret, _ = desk.key(lifetime_s=60)
    desk.wait(-3_600)
    assert desk.credentials.principal(secret).name == "desk"


def test_a_revoked_key_is_refused_and_stays_in_the_list(desk: Desk) -> None:
    secret, key_id = desk.key()
    other, _ = desk.key()
    desk.wait(5)
    desk.credentials.revoke_key(key_id)
    desk.wait(5)
    desk.credentials.revoke_key(key_id)
    desk.refused(secret)
    assert desk.credentials.principal(other).name == "desk"
    revoked = {item.id: item.revoked_ns for item in desk.listed()}
    assert revoked == {key_id: START_NS + 5 * NS, token_id(other): 0}


def test_an_unknown_key_cannot_be_revoked(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.credentials.revoke_key("abcdefghijkl")


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "a\u202eb"])
def test_a_name_that_cannot_be_shown_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        desk.credentials.create_key(name, ("audit:read",), 0)
    assert (caught.value.code, caught.value.pointer) == ("invalid_name", "#/name")


@pytest.mark.parametrize("scopes", [(), ("audit:all",), ("audit:read", "AUDIT:WRITE")])
def test_a_scope_that_is_none_is_refused(desk: Desk, scopes: tuple[str, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        desk.credentials.create_key("desk", scopes, 0)
    assert (caught.value.code, caught.value.pointer) == ("invalid_scope", "#/scopes")
    assert all(scope in caught.value.detail for scope in SCOPES)


def test_a_sign_in_code_opens_one_session_once(desk: Desk) -> None:
    code = desk.credentials.signin_code()
    # A code is no token: it opens nothing but a session.
    desk.refused(code)
    session, principal = desk.credentials.open_session(code)
    assert principal.scopes == SCOPES
    assert desk.credentials.principal(session) == principal
    with pytest.raises(Unauthenticated):
        desk.credentials.open_session(code)


def test_a_sign_in_code_ends_after_a_quarter_of_an_hour(desk: Desk) -> None:
    code = desk.credentials.signin_code()
    desk.wait(15 * 60)
    with pytest.raises(Unauthenticated):
        desk.credentials.open_session(code)


def test_a_session_of_a_key_ends_and_leaves_the_key(desk: Desk) -> None:
    secret, _ = desk.key()
    session, principal = desk.credentials.open_session(secret)
    assert principal.scopes == ("audit:read",)
    # A session does not prolong itself.
    with pytest.raises(Unauthenticated):
        desk.credentials.open_session(session)
    desk.credentials.close_session(session)
    desk.credentials.close_session(session)
    desk.refused(session)
    second, _ = desk.credentials.open_session(secret)
    desk.wait(SESSION_S)
    desk.refused(second)
    assert desk.credentials.principal(secret).name == "desk"


def test_closing_a_session_cannot_end_a_key(desk: Desk) -> None:
    secret, _ = desk.key()
    desk.credentials.close_session(secret)
    assert desk.credentials.principal(secret).name == "desk"


def test_the_first_key_is_private_and_stays(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "admin.token"
    desk.credentials.ensure_admin(file)
    token = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert desk.credentials.principal(token).scopes == SCOPES
    desk.credentials.ensure_admin(file)
    assert file.read_text().strip() == token
    assert len(desk.listed()) == 1


def test_a_first_key_whose_start_was_cut_short_becomes_one_at_the_next(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "admin.token"
    token = new_token(Drawn())
    file.write_text(token + "\n")
    desk.refused(token)
    desk.credentials.ensure_admin(file)
    assert desk.credentials.principal(token).name == "admin"
