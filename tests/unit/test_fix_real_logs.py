"""Real FIX logs, where they are at hand: nothing is lost, nobody is mistaken, no password shows.

The folder is ``TRADETRAIL_SHARED_DATA``, else ``../shared/data`` beside the checkout.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tradetrail.event import Event, Limits
from tradetrail.fix.mapping import Left, MappedEvent, Mapper
from tradetrail.fix.message import RawMessage, join_fields
from tradetrail.fix.reader import Junk, read_messages
from tradetrail.scan import scan_structured

_CHECKOUT = Path(__file__).resolve().parents[2]
_FOLDER = (
    Path(os.environ.get("TRADETRAIL_SHARED_DATA") or _CHECKOUT.parent / "shared" / "data") / "fix"
)
LOGS = {path.name: path for path in sorted(_FOLDER.glob("*.log"))}
pytestmark = pytest.mark.skipif(not LOGS, reason="the real FIX logs are not here")


@cache
def items(name: str) -> list[RawMessage | Junk]:
    with LOGS[name].open("rb") as stream:
        return list(read_messages(stream))


@cache
def events(name: str) -> list[MappedEvent]:
    mapper = Mapper()
    mapped = [mapper.to_event(item) for item in items(name) if isinstance(item, RawMessage)]
    assert {type(item) for item in mapped} <= {MappedEvent, Left}
    return [item for item in mapped if isinstance(item, MappedEvent)]


def messages(name: str) -> list[RawMessage]:
    return [item for item in items(name) if isinstance(item, RawMessage)]


@pytest.mark.parametrize("name", LOGS)
def test_every_message_of_the_log_is_read_and_every_other_line_counted(name: str) -> None:
    content = LOGS[name].read_bytes()
    found = messages(name)
    assert len(found) == content.count(b"8=FIX")
    lines_without = [
        number
        for number, line in enumerate(content.split(b"\n"), 1)
        if line.strip() and b"8=FIX" not in line
    ]
    junk = [item for item in items(name) if isinstance(item, Junk)]
    assert [item.line for item in junk] == lines_without
    assert {item.reason for item in junk} <= {"no_message"}
    for message in found:
        assert join_fields(message.fields, message.delimiter) == message.raw.removesuffix(
            message.delimiter
        )
        assert message.raw in content


@pytest.mark.parametrize("name", LOGS)
def test_the_service_takes_every_event_of_the_log(name: str) -> None:
    for event in events(name):
        accepted = scan_structured(event.text, Limits())
        assert isinstance(accepted, Event), accepted
        assert accepted.user == event.user


@pytest.mark.parametrize("name", LOGS)
def test_no_password_of_the_log_shows_in_an_event(name: str) -> None:
    content = LOGS[name].read_bytes()
    secrets = set(re.findall(rb"\x01(?:554|925|1402|1404)=([^\x01]{4,})", content))
    for event in events(name):
        assert not any(secret in event.text for secret in secrets)


@pytest.mark.skipif("fix42-orders.log" not in LOGS, reason="this log is not here")
def test_the_log_of_orders_gives_the_known_counts() -> None:
    name = "fix42-orders.log"
    assert len(messages(name)) == 2_486
    found = events(name)
    assert len(found) == 2_410
    assert not any(event.problems for event in found)
    by_type = Counter(event.type for event in found if event.user == "BONT")
    assert by_type == {
        "tradetrail.order.new.v1": 602,
        "tradetrail.order.cancel_request.v1": 602,
        "tradetrail.execution.report.v1": 1_204,
    }
    assert Counter(event.user for event in found) == {"BONT": 2_408, "BON": 2}
    identities = {(json.loads(event.text)["source"], event.id) for event in found}
    assert len(identities) == 2_410


@pytest.mark.skipif("FIXT.1.1-EXEC-BANZAI.messages.log" not in LOGS, reason="this log is not here")
def test_the_log_with_passwords_masks_them_and_keeps_its_groups() -> None:
    name = "FIXT.1.1-EXEC-BANZAI.messages.log"
    found = [json.loads(event.text) for event in events(name)]
    logons = [event["data"] for event in found if "Password" in event["data"]]
    assert logons
    assert {data["Password"] for data in logons} == {"***"}
    assert all("Password" in data["redacted"] for data in logons)
    parties = next(event["data"]["NoPartyIDs"] for event in found if "NoPartyIDs" in event["data"])
    assert parties[0] == {
        "PartyID": "DEU",
        "PartyIDSource": "B",
        "PartyRole": "1",
        "NoPartySubIDs": [{"PartySubID": "A1", "PartySubIDType": "10"}],
    }
    assert len(parties) == 3
