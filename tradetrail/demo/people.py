"""Who trades on a made-up day, and what there is to trade. Names are drawn together by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tradetrail.demo.chance import Chance

__all__ = ["INSTRUMENTS", "Instrument", "Person", "people"]


@dataclass(frozen=True)
class Instrument:
    """Something to trade. Prices are whole ticks: ``ticks / 10**decimals`` in its currency."""

    symbol: str
    exchange: str
    currency: str
    price_ticks: int
    decimals: int
    lot: int


INSTRUMENTS: Sequence[Instrument] = (
    Instrument("ALDR", "XETR", "EUR", 4_312, 2, 10),
    Instrument("BRNT", "XLON", "GBP", 71_850, 2, 100),
    Instrument("CYGN", "XNAS", "USD", 18_941, 2, 100),
    Instrument("DUNA", "XBUD", "HUF", 2_455_00, 2, 5),
    Instrument("ELBE.DE", "XETR", "EUR", 9_974, 2, 10),
    Instrument("FJRD", "XOSL", "NOK", 31_260, 2, 50),
    Instrument("GRNT", "XNYS", "USD", 5_508, 2, 100),
    Instrument("HMMR", "XSTO", "SEK", 24_415, 2, 20),
    Instrument("IBER", "XMAD", "EUR", 11_208, 3, 100),
    Instrument("KESTREL/A", "XNYS", "USD", 412_900, 2, 1),
    Instrument("LUMO", "XNAS", "USD", 8_127, 2, 100),
    Instrument("7203X", "XTKS", "JPY", 2_861, 0, 100),
    Instrument("EUR/USD", "IDEAL", "USD", 108_412, 5, 100_000),
    Instrument("USD/JPY", "IDEAL", "JPY", 147_215, 3, 100_000),
    Instrument("FBUN 202612", "XEUR", "EUR", 13_184, 2, 1),
    Instrument("XBT-PERP", "XOFF", "USD", 6_712_350, 2, 1),
)

_FIRST = (
    "ada", "amir", "anouk", "ben", "bruno", "chiara", "dara", "edith", "emre", "farah", "finn",
    "greta", "hana", "ines", "ivo", "jonas", "kaito", "lena", "luis", "maeve", "marta", "nadia",
    "noor", "otto", "paula", "priya", "rafael", "rosa", "sven", "tara", "uma", "viktor", "wanda",
    "yusuf", "zoe",
)  # fmt: skip
_LAST = (
    "abel", "bergmann", "castro", "dubois", "eriksen", "fontana", "garner", "holm", "ito", "jansen",
    "keller", "lindqvist", "moreau", "novak", "okafor", "petrov", "quinn", "rossi", "santos",
    "tanaka", "ueda", "varga", "weiss", "yilmaz", "zeman",
)  # fmt: skip
#: Names in other scripts and with marks, so that nothing takes ASCII for granted.
_UNICODE = (
    "Zoë Müller", "Łukasz Żak", "José Ñandú", "Σοφία Νικολάου", "Мария Ковалёва", "田中 美咲",
    "김서연", "نور الهادي", "שירה לוי", "Nguyễn Thị Ánh", "दीपा शर्मा", "Ægir Þórsson",
)  # fmt: skip
_ADDRESSES = ("desk.example", "capital.example", "brokers.example")


@dataclass(frozen=True)
class Person:
    """One user: who, for whom else, and how busy."""

    user: str
    account: str
    session: str
    #: The user that this one also acts for, else empty.
    principal: str
    #: Mean seconds between two orders.
    order_gap_s: float
    instruments: Sequence[Instrument]


def people(chance: Chance, count: int) -> list[Person]:
    """``count`` users with names that differ; a few do most of the trading, as everywhere."""
    made: list[Person] = []
    for number in range(count):
        principal = made[-1].user if made and chance.happens(0.06) else ""
        made.append(
            Person(
                user=_name(chance, number),
                account=f"{chance.pick(('A', 'C', 'K'))}{100_000 + number * 37 + chance.below(37)}",
                session=f"{chance.pick(('GUI', 'FIX', 'API'))}{1 + chance.below(9)}",
                principal=principal,
                order_gap_s=chance.pick((120.0, 300.0, 600.0, 1_200.0, 2_400.0)),
                instruments=[chance.pick(INSTRUMENTS) for _ in range(1 + chance.below(4))],
            )
        )
    return made


def _name(chance: Chance, number: int) -> str:
    """A name; the number, where one is shown, keeps two people of the same name apart."""
    first, last = chance.pick(_FIRST), chance.pick(_LAST)
    form = chance.below(10)
    if number % 25 == 7:
        again = number // 25 // len(_UNICODE)
        name = _UNICODE[number // 25 % len(_UNICODE)]
        return f"{name} {again + 1}" if again else name
    if form < 6:
        return f"{first}.{last}{number}"
    if form < 9:
        return f"{first[0]}{last}{number}@{chance.pick(_ADDRESSES)}"
    return f"{chance.pick(('algo', 'bot'))}/{last}-{number}"
