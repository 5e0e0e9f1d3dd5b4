"""Settings of one service: every bound has a name, a unit, a default and a reason.

Lives here: the values and where they come from. Flags of the command line stand before ``TRADETRAIL_*``
variables, these before the TOML file of ``--config``, this before the defaults. They are read once, at
start; afterwards one frozen, picklable object is handed around.

Not here: what the client commands read (``TRADETRAIL_URL``, ``TRADETRAIL_TOKEN``).
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_type_hints

import msgspec

from tradetrail.errors import Invalid
from tradetrail.event import Limits

__all__ = ["ENVIRONMENT_PREFIX", "ServiceSettings", "load_settings"]

#: A variable is this and the setting's name in capitals: ``TRADETRAIL_PORT``.
ENVIRONMENT_PREFIX = "TRADETRAIL_"

#: Stands for "beside the data folder, its name with ``.keys`` appended".
_BESIDE_DATA = Path()

_MIB = 1024 * 1024
_LIMITS = Limits()

#: As signed notes want it (C2SP): no white space, no plus sign; and it goes into URLs as it is.
_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")

#: Least and greatest value of the numbers; all others must be at least 1.
_RANGES: dict[str, tuple[int, int]] = {
    "port": (1, 65_535),
    # What ``storage.cluster`` takes: two digits name every log.
    "shards": (1, 99),
    "ingest_replicas": (1, 64),
    "query_replicas": (1, 64),
    # Each level is a stack frame of the exact scanner.
    "json_depth": (1, 512),
    "disk_low_water_bytes": (0, 1 << 62),
}


@dataclass(frozen=True)
class ServiceSettings:
    """What one service was started with. Sizes in bytes, times in seconds, paths absolute once loaded."""

    #: The data folder; one running service each.
    data: Path = Path("data")
    #: Key files lie apart from the data, so that a copy of the data is unreadable without them.
    keys: Path = _BESIDE_DATA
    #: Where the public port listens. Everything else stays on loopback, but a port of each replica that Ray
    #: opens everywhere and that answers nobody without the service's own secret.
    host: str = "127.0.0.1"
    port: int = 8000
    #: Number of shards; ``None`` takes what the data says, 2 for new data.
    shards: int | None = None
    #: ``haproxy`` is the fast edge, ``python`` Serve's own proxy as a fallback.
    proxy: Literal["haproxy", "python"] = "haproxy"
    #: Replica counts never change while the service runs: each change would cut long streams.
    ingest_replicas: int = 1
    query_replicas: int = 1
    #: Open live feeds of the whole service; one more gets 503.
    viewer_cap: int = 2_000
    #: A feed ends after this and its viewer reconnects by itself, so that no stream outlives a reload.
    stream_age_s: int = 600

    #: See ``tradetrail.event.Limits``.
    event_bytes: int = _LIMITS.event_bytes
    body_bytes: int = _LIMITS.body_bytes
    batch_events: int = _LIMITS.batch_events
    json_depth: int = _LIMITS.json_depth

    #: RocksDB's cache of read blocks, for each shard process.
    block_cache_bytes: int = 64 * _MIB
    #: RocksDB's memtables, for each shard process.
    write_buffer_bytes: int = 64 * _MIB
    #: Below this much free space writes are refused (507) and reads go on; RocksDB needs room to compact.
    disk_low_water_bytes: int = 256 * _MIB
    #: What may wait for one shard's writer; beyond it a request gets 503.
    append_queue_events: int = 50_000
    append_queue_bytes: int = 32 * _MIB
    #: Newest records a shard keeps in memory for live feeds.
    feed_window_bytes: int = 16 * _MIB
    #: A finished report is kept a week.
    report_ttl_s: int = 7 * 24 * 3600

    #: Part of the origin of the shard logs.
    service_name: str = "tradetrail.local"
    #: What an acknowledgement promises: flushed to the local disk.
    durability: Literal["fsync"] = "fsync"
    #: A start that does not serve by then is given up and undone.
    start_timeout_s: int = 180

    def __post_init__(self) -> None:
        if not self.data.name:
            raise _refusal(
                f"data ({self.data}) is the root of the file system; choose a folder in it"
            )
        if self.keys == _BESIDE_DATA:
            object.__setattr__(self, "keys", self.data.with_name(self.data.name + ".keys"))
        for field in fields(self):
            _check_range(field.name, getattr(self, field.name), "")
        self._check_relations()

    def _check_relations(self) -> None:
        """Raises ``Invalid`` where two settings contradict each other."""
        if not _SERVICE_NAME.fullmatch(self.service_name):
            raise _refusal(
                f"service_name ({self.service_name!r}) stands in the first line of every signed checkpoint "
                "for ever; use 1 to 200 letters, digits, points, hyphens, underscores and slashes"
            )
        if not self.host:
            raise _refusal("host is empty; name an address, for instance 127.0.0.1")
        if self.event_bytes > self.body_bytes:
            raise _refusal(
                f"event_bytes ({self.event_bytes}) is above body_bytes ({self.body_bytes}); "
                "an event must fit into a body"
            )
        if self.append_queue_events < self.batch_events:
            raise _refusal(
                f"append_queue_events ({self.append_queue_events}) is below batch_events "
                f"({self.batch_events}); one batch must fit into the queue"
            )
        if self.append_queue_bytes < self.body_bytes:
            raise _refusal(
                f"append_queue_bytes ({self.append_queue_bytes}) is below body_bytes "
                f"({self.body_bytes}); one body must fit into the queue"
            )
        if self.keys == self.data or self.data in self.keys.parents:
            raise _refusal(
                f"keys ({self.keys}) lies inside data ({self.data}); a copy of the data would hold its keys. "
                "Choose a folder outside"
            )


def load_settings(
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    config: Path | None = None,
) -> ServiceSettings:
    """Settings from flags, then ``TRADETRAIL_*`` variables, then a TOML file, then defaults.

    Args:
        flags: by setting name; ``None`` means that the flag was not given.
        environment: usually ``os.environ``; names that are no setting are left alone.
        config: a TOML file of ``name = value`` lines; an unknown name is refused.

    Raises:
        Invalid: a value or a name is wrong, or the file cannot be read; says which and from where.
    """
    names = {field.name for field in fields(ServiceSettings)}
    given: dict[str, object] = {}
    origin: dict[str, str] = {}
    for name, value in _read_config(config).items():
        if name not in names:
            raise _refusal(f"{config} sets {name}, which is no setting; see docs/settings.md")
        given[name], origin[name] = value, f"{config}"
    for name in names:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if environment.get(variable):
            given[name], origin[name] = environment[variable], variable
    for name, flag in flags.items():
        if flag is not None:
            given[name], origin[name] = flag, f"--{name.replace('_', '-')}"
    checked = {name: _convert(name, value, origin[name]) for name, value in given.items()}
    for name in ("data", "keys"):
        # Processes of the service run in other folders: a relative path would mean something else there.
        path = checked.get(name, getattr(ServiceSettings, name))
        if path != _BESIDE_DATA:
            checked[name] = Path(os.path.abspath(str(path)))
    return ServiceSettings(**checked)  # type: ignore[arg-type]  # each was converted to its type above


def _read_config(config: Path | None) -> dict[str, object]:
    if config is None:
        return {}
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as exc:
        raise _refusal(f"the configuration file {config} cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise _refusal(f"the configuration file {config} is no TOML: {exc}") from exc


def _convert(name: str, value: object, origin: str) -> object:
    """One value in the type of its setting; text from the environment is read as a number where needed."""
    kind = _KINDS[name]
    if isinstance(value, bool):
        raise _refusal(f"{name} (from {origin}) is true or false; a number or text is expected")
    try:
        converted = msgspec.convert(value, kind, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as exc:
        raise _refusal(f"{name} (from {origin}): {exc}") from exc
    _check_range(name, converted, f" (from {origin})")
    return converted


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, (str, Path)) and str(value):
        if "\0" in str(value):
            raise ValueError("a path cannot hold the character NUL")
        try:
            return Path(value).expanduser()
        except RuntimeError as exc:
            raise ValueError("the home folder that ~ stands for is not known") from exc
    raise ValueError(f"a path is expected, {type(value).__name__} was given")


def _check_range(name: str, value: object, origin: str) -> None:
    """Passes what is no number; raises ``Invalid`` for a number outside the setting's range."""
    if isinstance(value, int):
        least, greatest = _RANGES.get(name, (1, 1 << 62))
        if not least <= value <= greatest:
            raise _refusal(f"{name}{origin} is {value}; it must be from {least} to {greatest}")


def _refusal(detail: str) -> Invalid:
    return Invalid("invalid_setting", detail)


#: The type of each setting.
_KINDS: dict[str, object] = get_type_hints(ServiceSettings)
