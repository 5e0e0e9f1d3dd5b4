"""Settings: where values come from, which contradict each other, and refusals that name the culprit."""

from __future__ import annotations

import dataclasses
import os
import pickle
from pathlib import Path

import pytest

from serve_app.settings import ENVIRONMENT_PREFIX, ServiceSettings, load_settings
from storage.cluster import SHARDS_MAX
from tradetrail.errors import Invalid
from tradetrail.event import Limits


def refusal(
    flags: dict[str, object] | None = None,
    environment: dict[str, str] | None = None,
    config: Path | None = None,
) -> str:
    with pytest.raises(Invalid) as caught:
        load_settings(flags or {}, environment or {}, config)
    assert (caught.value.code, caught.value.status) == ("invalid_setting", 400)
    return caught.value.detail


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "service.toml"


def test_defaults_are_one_service_on_loopback() -> None:
    found = load_settings({}, {})
    assert (found.host, found.port, found.proxy, found.shards) == (
        "127.0.0.1",
        8000,
        "haproxy",
        None,
    )
    assert found.data == Path.cwd() / "data"
    assert found.keys == Path.cwd() / "data.keys"


def test_bounds_of_events_are_those_of_the_scanner() -> None:
    found, limits = ServiceSettings(), Limits()
    for name in ("event_bytes", "body_bytes", "batch_events", "json_depth"):
        assert getattr(found, name) == getattr(limits, name)


def test_flags_stand_before_variables_before_the_file_before_defaults(config: Path) -> None:
    config.write_text('port = 1001\nviewer_cap = 11\nhost = "::1"\ndata = "/file"\n')
    environment = {"TRADETRAIL_PORT": "1002", "TRADETRAIL_VIEWER_CAP": "12"}
    found = load_settings({"port": 1003, "host": None}, environment, config)
    assert (found.port, found.viewer_cap, found.host) == (1003, 12, "::1")
    assert (found.data, found.keys) == (Path("/file"), Path("/file.keys"))


@pytest.mark.parametrize("field", dataclasses.fields(ServiceSettings), ids=lambda field: field.name)
def test_every_setting_can_come_from_its_variable_and_from_the_file(
    field: dataclasses.Field[object], config: Path
) -> None:
    values = {"data": "/d", "keys": "/k", "host": "h", "proxy": "python", "service_name": "s"}
    large = {"body_bytes": "6000000", "append_queue_bytes": "60000000", "event_bytes": "70000"}
    text = {**values, **large, "durability": "fsync", "append_queue_events": "60000"}.get(
        field.name, "7"
    )
    expected = int(text) if text.isdigit() else text
    variable = ENVIRONMENT_PREFIX + field.name.upper()
    found = load_settings({}, {variable: text})
    assert getattr(found, field.name) == (
        Path(text) if field.name in ("data", "keys") else expected
    )
    config.write_text(f"{field.name} = {expected!r}\n")
    assert load_settings({}, {}, config) == found


def test_an_empty_variable_and_an_unknown_one_are_left_alone() -> None:
    environment = {"TRADETRAIL_PORT": "", "TRADETRAIL_URL": "http://x", "TRADETRAIL_TOKEN": "tt_x"}
    assert load_settings({}, environment) == load_settings({}, {})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "many"),
        ("port", "8000.5"),
        ("port", "0"),
        ("port", "65536"),
        ("port", "-1"),
        ("shards", "0"),
        ("shards", "100"),
        ("proxy", "nginx"),
        ("durability", "none"),
        ("json_depth", "513"),
        ("viewer_cap", "0"),
        ("data", "a\0b"),
        ("keys", "~nobody-of-that-name/keys"),
    ],
)
def test_a_wrong_value_is_refused_and_names_where_it_came_from(
    name: str, text: str, config: Path
) -> None:
    variable = ENVIRONMENT_PREFIX + name.upper()
    detail = refusal(environment={variable: text})
    assert variable in detail
    assert name in detail
    flag = refusal(flags={name: text})
    assert f"--{name.replace('_', '-')}" in flag
    number = text.lstrip("-").isdigit()
    value = text if number else f'"{text}"'.replace("\0", "\\u0000")
    config.write_text(f"{name} = {value}\n")
    assert str(config) in refusal(config=config)


@pytest.mark.parametrize(("name", "limits"), [("port", "1 to 65535"), ("shards", "1 to 99")])
def test_a_number_out_of_range_is_told_the_range(name: str, limits: str) -> None:
    assert limits in refusal(environment={f"TRADETRAIL_{name.upper()}": "70000"})


def test_shards_go_as_far_as_the_storage_takes_them() -> None:
    assert load_settings({"shards": SHARDS_MAX}, {}).shards == SHARDS_MAX
    refusal({"shards": SHARDS_MAX + 1})


def test_a_value_built_in_code_is_checked_too() -> None:
    with pytest.raises(Invalid) as caught:
        ServiceSettings(port=0)
    assert "port is 0" in caught.value.detail


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"event_bytes": 6_000_000}, ("event_bytes", "body_bytes")),
        ({"append_queue_events": 9_999}, ("append_queue_events", "batch_events")),
        ({"append_queue_bytes": 5_000_000}, ("append_queue_bytes", "body_bytes")),
        ({"host": ""}, ("host", "address")),
        ({"data": "/d", "keys": "/d/keys"}, ("keys", "data")),
        ({"data": "/d", "keys": "/d"}, ("keys", "data")),
        ({"data": "/d", "keys": "/d/../d/k"}, ("keys", "data")),
        ({"data": "/"}, ("data", "root")),
    ],
)
def test_settings_that_contradict_each_other_are_refused_and_both_named(
    given: dict[str, object], words: tuple[str, str]
) -> None:
    detail = refusal(given)
    assert all(word in detail for word in words)


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a\nb", "a+b", "/a", "ä", "x" * 201, "trail.example\n"]
)
def test_a_name_that_cannot_stand_in_a_checkpoint_is_refused(name: str) -> None:
    assert "service_name" in refusal({"service_name": name})


@pytest.mark.parametrize("name", ["tradetrail.local", "audit.firm.example/eu-1", "x" * 200])
def test_the_usual_names_of_a_service_are_taken(name: str) -> None:
    assert load_settings({}, {"TRADETRAIL_SERVICE_NAME": name}).service_name == name


def test_keys_beside_the_data_with_a_longer_name_are_fine() -> None:
    found = load_settings({"data": "/d", "keys": "/d.keys"}, {})
    assert found.keys == Path("/d.keys")


def test_an_unknown_name_in_the_file_is_refused(config: Path) -> None:
    config.write_text("prot = 8001\n")
    detail = refusal(config=config)
    assert "prot" in detail
    assert str(config) in detail


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"port 8000", "TOML"), (b"port = '\xff'", "TOML"), (b"port = true", "true or false")],
)
def test_a_file_that_cannot_be_understood_is_refused(
    config: Path, content: bytes, word: str
) -> None:
    config.write_bytes(content)
    detail = refusal(config=config)
    assert word in detail
    assert str(config) in detail


@pytest.mark.parametrize("value", ["[1]", "{ a = 1 }", "1979-05-27", "0.5", "nan"])
def test_a_value_of_another_kind_is_refused(config: Path, value: str) -> None:
    config.write_text(f"port = {value}\ndata = {value}\n")
    assert str(config) in refusal(config=config)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    assert str(absent) in refusal(config=absent)
    assert str(tmp_path) in refusal(config=tmp_path)


def test_paths_are_absolute_whatever_folder_a_process_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = load_settings({"data": "sub/../d"}, {"TRADETRAIL_KEYS": "~/keys"})
    assert (found.data, found.keys) == (tmp_path / "d", tmp_path / "home" / "keys")
    monkeypatch.chdir(os.sep)
    assert found.data.is_absolute()


def test_settings_travel_between_processes_and_do_not_change() -> None:
    found = load_settings({"port": 8001}, {})
    assert pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.port = 8002  # type: ignore[misc]  # what is tested
