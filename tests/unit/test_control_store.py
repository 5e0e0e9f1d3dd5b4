"""What belongs to no shard: credentials under their hashes, reports and the claims that name them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from storage.control_store import ControlStore, Credential, CredentialKind
from storage.database import Batch, Database
from tradetrail.errors import StorageFull, Unavailable
from tradetrail.report import ReportRequest, ReportRow, ReportStatus
from tradetrail.tokens import Principal, token_hash

SECRET = "tt_abcdefghijkl_quiet-harbour-17"
HASH = token_hash(SECRET)
PRINCIPAL = Principal("desk", ("audit:read",), 5)
CREDENTIAL = Credential(1, CredentialKind.KEY, PRINCIPAL, "abcdefghijkl", 3, 4)


class Home:
    """A folder whose store is opened and closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = ControlStore(path, bytes(32))

    def reopen(self) -> ControlStore:
        self.store.close()
        self.store = ControlStore(self.path, bytes(32))
        return self.store


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "control")
    yield made
    made.store.close()


def row(number: int) -> ReportRow:
    """A row with every required field filled by its type."""
    values: dict[str, object] = {"id": f"report-{number}"}
    for field in msgspec.structs.fields(ReportRow):
        if field.required and field.name not in values:
            values[field.name] = _FILLERS[field.type]
    return msgspec.convert(values, type=ReportRow)


_FILLERS: dict[object, object] = {
    str: "x",
    int: 7,
    bool: False,
    ReportStatus: "queued",
    ReportRequest: {"format": "pdf", "user": "alice"},
    Principal: {"name": "desk", "scopes": ["audit:read"]},
}


def test_a_credential_is_found_by_its_hash_and_after_a_reopen(home: Home) -> None:
    assert home.store.find(HASH) is None
    home.store.keep(HASH, CREDENTIAL)
    assert home.store.find(HASH) == CREDENTIAL
    assert home.store.find(token_hash(SECRET + "x")) is None
    assert home.reopen().find(HASH) == CREDENTIAL


def test_what_was_forgotten_stays_forgotten(home: Home) -> None:
    home.store.keep(HASH, CREDENTIAL)
    home.store.forget(HASH)
    home.store.forget(HASH)
    assert home.store.find(HASH) is None
    assert home.reopen().find(HASH) is None


def test_all_credentials_are_listed_with_their_hashes(home: Home) -> None:
    assert home.store.credentials() == []
    kept = {token_hash(str(number)): CREDENTIAL for number in range(3)}
    for secret_hash, credential in kept.items():
        home.store.keep(secret_hash, credential)
    home.store.keep_report(row(1))
    assert dict(home.store.credentials()) == kept


def test_every_change_is_flushed_before_it_is_answered(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    write, flush = Database.write, Database.flush

    def record_write(database: Database, batch: Batch) -> None:
        write(database, batch)
        calls.append("write")

    def record_flush(database: Database) -> None:
        flush(database)
        calls.append("flush")

    monkeypatch.setattr(Database, "write", record_write)
    monkeypatch.setattr(Database, "flush", record_flush)
    home.store.keep(HASH, CREDENTIAL)
    home.store.forget(HASH)
    home.store.keep_report(row(1), b"claim")
    home.store.forget_report("report-1")
    assert calls == ["write", "flush"] * 4


def test_a_flush_that_fails_is_not_an_answer(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_database: Database) -> None:
        raise StorageFull("disk_full", "full")

    monkeypatch.setattr(Database, "flush", full)
    with pytest.raises(StorageFull):
        home.store.keep(HASH, CREDENTIAL)


def test_no_secret_lies_in_clear_on_disk(home: Home) -> None:
    home.store.keep(HASH, CREDENTIAL)
    home.store.close()
    content = b"".join(path.read_bytes() for path in home.path.rglob("*") if path.is_file())
    assert SECRET.encode() not in content
    assert b"quiet-harbour" not in content
    assert HASH in content
    home.store = ControlStore(home.path, bytes(32))


def test_a_second_owner_is_refused(home: Home) -> None:
    with pytest.raises(Unavailable) as caught:
        ControlStore(home.path, bytes(32))
    assert caught.value.code == "database_locked"


def test_a_credential_of_before_ids_is_still_read(home: Home) -> None:
    text = b'{"format":1,"kind":"session","principal":{"name":"a","scopes":["audit:read"]}}'
    found = msgspec.json.decode(text, type=Credential)
    assert (found.kind, found.id, found.revoked_ns) == (CredentialKind.SESSION, "", 0)


def test_reports_are_kept_replaced_and_removed_with_their_claims(home: Home) -> None:
    home.store.keep_report(row(1), b"claim-1")
    home.store.keep_report(row(2), b"claim-2")
    home.store.keep_report(row(2))
    assert [kept.id for kept in home.store.reports()] == ["report-1", "report-2"]
    assert home.store.claimed_report(b"claim-2") == "report-2"
    assert home.store.claimed_report(b"claim-3") is None
    home.store.forget_report("report-1")
    home.store.forget_report("report-9")
    store = home.reopen()
    assert [kept.id for kept in store.reports()] == ["report-2"]
    assert store.claimed_report(b"claim-1") is None
    assert store.claimed_report(b"claim-2") == "report-2"
