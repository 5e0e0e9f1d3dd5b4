"""A made-up FIX log: for tests, documentation and a first try, the same to the byte each time.

It holds what real logs hold: two sessions (FIX 4.2 with SOH, FIX 4.4 with ``|``), several users,
text before messages, two messages on a line, lines that are no message, a torn message, an edited
one whose checksum is wrong, logons with passwords, a flagged resend, heartbeats and a gap fill,
repeating groups within groups, and a data field with separators in it. No person, firm or
instrument in it is real.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tradetrail.fix.message import SOH

__all__ = ["SAMPLE_PASSWORDS", "encode_message", "sample_log"]

#: Secrets of the sample's logons: a test looks that they appear nowhere behind the import.
SAMPLE_PASSWORDS = ("quiet-harbour-17", "seven-lanterns-4")

_BEGIN = datetime(2024, 3, 4, 8, 0, tzinfo=UTC)
_STEP = timedelta(milliseconds=137)
_USERS = ("amara", "bjørn", "chen")
_SYMBOLS = ("TTX", "QUILL", "OAKEN")

Pairs = list[tuple[int, str]]


def encode_message(begin_string: str, pairs: Pairs, delimiter: bytes = SOH) -> bytes:
    """A message with BodyLength and CheckSum put in.

    Args:
        begin_string: tag 8.
        pairs: all other fields in order, tag 35 first.
        delimiter: what stands between fields in the log; the checksum is that of the wire (SOH).
    """
    body = b"".join(b"%d=%b\x01" % (tag, value.encode()) for tag, value in pairs)
    head = b"8=%b\x019=%d\x01" % (begin_string.encode(), len(body))
    message = b"%b%b10=%03d\x01" % (head, body, sum(head + body) % 256)
    return message if delimiter == SOH else message.replace(SOH, delimiter)


def sample_log(order_count: int = 30) -> bytes:
    """The log.

    Args:
        order_count: orders of each of the two sessions; every fifth is cancelled, every seventh
            replaced.
    """
    clock = _Clock(_BEGIN)
    soh = _Session(clock, "FIX.4.2", "LARKSPUR", "VENUE", SOH)
    bar = _Session(clock, "FIX.4.4", "MERIDIAN", "VENUE", b"|")
    lines = [b"# sample log, made up", b""]
    lines += soh.logon(SAMPLE_PASSWORDS[0])
    lines += bar.logon(SAMPLE_PASSWORDS[1])
    lines.append(soh.line(soh.from_client("V", _market_data_request())))
    for number in range(1, order_count + 1):
        lines += _order_life(soh, number, [])
        lines += _order_life(bar, number, _parties(number))
        if number % 10 == 0:
            lines.append(soh.line(soh.from_client("0", [])) + b" " + soh.from_firm("0", []))
    lines += _rarities(soh, bar)
    lines.append(soh.line(soh.from_client("5", [])))
    lines.append(bar.line(bar.from_firm("5", [(58, "good night")])))
    return b"\n".join(lines) + b"\n"


@dataclass(slots=True)
class _Clock:
    """Made-up time: each look is one step later."""

    now: datetime

    def tick(self) -> str:
        """The next time as FIX writes it, in milliseconds."""
        self.now += _STEP
        return self.now.strftime("%Y%m%d-%H:%M:%S.") + f"{self.now.microsecond // 1000:03d}"


class _Session:
    """Both sides of one session with their sequence numbers."""

    def __init__(
        self, clock: _Clock, begin_string: str, client: str, firm: str, delimiter: bytes
    ) -> None:
        self.clock = clock
        self.begin_string = begin_string
        self.client = client
        self.firm = firm
        self.delimiter = delimiter
        #: Next number by sender.
        self.next = {client: 1, firm: 1}

    def line(self, message: bytes) -> bytes:
        """One line of the log, with a time before the message as engines write it."""
        return self.clock.now.strftime("%Y/%m/%d %H:%M:%S.%f ").encode() + message

    def from_client(self, message_type: str, pairs: Pairs, user: str = "") -> bytes:
        """The client's next message; ``user`` is its SenderSubID."""
        return self._next(message_type, self.client, self.firm, [(50, user)] if user else [], pairs)

    def from_firm(self, message_type: str, pairs: Pairs, user: str = "") -> bytes:
        """The firm's next message; ``user`` is its TargetSubID."""
        return self._next(message_type, self.firm, self.client, [(57, user)] if user else [], pairs)

    def logon(self, password: str) -> list[bytes]:
        """Both logons."""
        asks: Pairs = [(98, "0"), (108, "30"), (553, self.client.lower()), (554, password)]
        answers: Pairs = [(98, "0"), (108, "30")]
        return [self.line(self.from_client("A", asks)), self.line(self.from_firm("A", answers))]

    def resend(self, number: int, user: str, pairs: Pairs, sent: str) -> bytes:
        """An order of the client once more, flagged and linked to when it was sent first."""
        header: Pairs = [(35, "D"), (34, str(number)), (43, "Y"), (49, self.client), (50, user)]
        header += [(52, self.clock.tick()), (56, self.firm), (122, sent)]
        return encode_message(self.begin_string, header + pairs, self.delimiter)

    def _next(
        self, message_type: str, sender: str, target: str, sub_id: Pairs, pairs: Pairs
    ) -> bytes:
        number = self.next[sender]
        self.next[sender] += 1
        header: Pairs = [(35, message_type), (34, str(number)), (49, sender)]
        header += [*sub_id, (52, self.clock.tick()), (56, target)]
        return encode_message(self.begin_string, header + pairs, self.delimiter)


def _order_life(session: _Session, number: int, parties: Pairs) -> Iterator[bytes]:
    user = _USERS[number % len(_USERS)]
    order = f"{session.client[0]}{number:05d}"
    new = _order(session, order, number)
    yield session.line(session.from_client("D", [*new, *parties], user))
    yield session.line(session.from_firm("8", _execution(session, order, number, "0"), user))
    if number % 5 == 0:
        cancel: Pairs = [(11, f"{order}C"), (41, order), *new[1:4], (60, session.clock.tick())]
        yield session.line(session.from_client("F", cancel, user))
        yield session.line(session.from_firm("8", _execution(session, order, number, "4"), user))
    elif number % 7 == 0:
        replace: Pairs = [(11, f"{order}R"), (41, order), *new[1:]]
        yield session.line(session.from_client("G", replace, user))
        reject: Pairs = [(37, f"V{order}"), (11, f"{order}R"), (41, order), (39, "2"), (434, "2")]
        yield session.line(session.from_firm("9", reject, user))
    else:
        yield session.line(session.from_firm("8", _execution(session, order, number, "2"), user))


def _order(session: _Session, order: str, number: int) -> Pairs:
    price = f"{90 + number % 20}.{number % 4 * 25:02d}"
    symbol, side = _SYMBOLS[number % len(_SYMBOLS)], "12"[number % 2]
    times: Pairs = [(59, "0"), (60, session.clock.tick())]
    return [
        (11, order),
        (55, symbol),
        (54, side),
        (38, str(number * 10)),
        (40, "2"),
        (44, price),
        *times,
    ]


def _execution(session: _Session, order: str, number: int, status: str) -> Pairs:
    quantity = str(number * 10)
    filled = quantity if status == "2" else "0"
    left = quantity if status == "0" else "0"
    return [
        (37, f"V{order}"),
        (11, order),
        (17, f"X{order}{status}"),
        (150, status),
        (39, status),
        (55, _SYMBOLS[number % len(_SYMBOLS)]),
        (54, "12"[number % 2]),
        (38, quantity),
        (151, left),
        (14, filled),
        (6, "0" if filled == "0" else f"{90 + number % 20}.10"),
        (60, session.clock.tick()),
    ]


def _parties(number: int) -> Pairs:
    """Two parties, the first with a group of its own."""
    first: Pairs = [
        (448, f"DESK{number % 3}"),
        (447, "D"),
        (452, "3"),
        (802, "1"),
        (523, "floor"),
        (803, "2"),
    ]
    return [(453, "2"), *first, (448, "LARKBANK"), (447, "D"), (452, "1")]


def _market_data_request() -> Pairs:
    kinds: Pairs = [(267, "2"), (269, "0"), (269, "1")]
    symbols: Pairs = [(146, "2"), (55, _SYMBOLS[0]), (55, _SYMBOLS[1])]
    return [(262, "MD1"), (263, "1"), (264, "0"), *kinds, *symbols]


def _rarities(soh: _Session, bar: _Session) -> Iterator[bytes]:
    """What real logs hold now and then."""
    number, user = soh.next[soh.client], _USERS[0]
    order = _order(soh, "L90001", 3)
    first = soh.from_client("D", order, user)
    sent = first.split(b"\x0152=")[1].split(SOH)[0].decode()
    yield soh.line(first)
    yield soh.line(soh.resend(number, user, order, sent))
    yield soh.line(soh.from_client("4", [(123, "Y"), (36, str(soh.next[soh.client] + 1))]))
    text = "left\x01right=1\x0110=000"
    data: Pairs = [(148, "news"), (33, "1"), (58, "see text"), (354, str(len(text))), (355, text)]
    yield soh.line(soh.from_firm("B", data, user))
    yield b"engine: connection to VENUE is slow"
    torn = soh.from_client("D", _order(soh, "L90002", 4), user)
    yield soh.line(torn[: len(torn) // 2])
    edited = bar.from_client("D", _order(bar, "M90001", 5), user)
    yield bar.line(edited.replace(b"|38=50|", b"|38=51|"))
    unknown: Pairs = [(11, "M90002"), (9001, "house tag"), (60, "yesterday")]
    yield bar.line(bar.from_client("U7", unknown, user))
