"""Sealed files: the same content back, nothing readable, every change noticed, no half file under a name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.sealed_file import SealedWriter, read_sealed
from tradetrail.errors import Corrupt

KEY = bytes(range(32))


def write(path: Path, *parts: bytes) -> bytes:
    with SealedWriter(path, KEY) as writer:
        for part in parts:
            writer.write(part)
        return writer.finish()


@pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 262_145, 1_000_000])
def test_content_of_any_length_comes_back(tmp_path: Path, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    path = tmp_path / "file"
    assert write(path, content[:17], content[17:]) == hashlib.sha256(content).digest()
    assert b"".join(read_sealed(path, KEY)) == content
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_nothing_of_the_content_can_be_read_and_two_writings_differ(tmp_path: Path) -> None:
    secret = b"Zaphod-Beeblebrox" * 10
    write(tmp_path / "a", secret)
    write(tmp_path / "b", secret)
    first, second = (tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()
    assert b"Zaphod" not in first
    assert first[21:] != second[21:]


def test_a_writing_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    def give_up() -> None:
        with SealedWriter(tmp_path / "file", KEY) as writer:
            writer.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        give_up()
    assert list(tmp_path.iterdir()) == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_every_change_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "file"
    if not path.exists():
        write(path, bytes(600_000))
    sealed = path.read_bytes()
    kind = data.draw(st.sampled_from(("flip", "cut", "add", "swap")))
    if kind == "flip":
        at = data.draw(st.integers(0, len(sealed) - 1))
        changed = sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :]
    elif kind == "cut":
        changed = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    elif kind == "add":
        changed = sealed + data.draw(st.binary(min_size=1, max_size=40))
    else:
        chunk = 4 + 262_144 + 16
        changed = sealed[:21] + sealed[21 + chunk : 21 + 2 * chunk] + sealed[21 : 21 + chunk]
        changed += sealed[21 + 2 * chunk :]
    other = tmp_path / "changed"
    other.write_bytes(changed)
    with pytest.raises(Corrupt):
        list(read_sealed(other, KEY))


def test_another_key_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "file", b"x")
    with pytest.raises(Corrupt):
        list(read_sealed(tmp_path / "file", bytes(32)))
    with pytest.raises(Corrupt):
        list(read_sealed(tmp_path / "absent", KEY))
