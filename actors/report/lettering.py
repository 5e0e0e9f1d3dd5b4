"""Any Unicode text on paper: which font shows which signs, and what stands for those that none shows.

Noto Sans leads; Noto Sans Arabic and DejaVu Sans (Hebrew, symbols) help out. Arabic letters are joined and
right-to-left stretches are put in reading order inside their own text, so that a text never turns its
neighbours round. Devanagari's vowel sign i stands before its letter, and conjuncts are spelt out with their
virama. What no font has, and what has no look of its own (controls, direction marks), is written out as
``<U+202E>``; no letter and no vowel sign is left out.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from arabic_reshaper import ArabicReshaper
from bidi.algorithm import get_display
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

__all__ = ["MAIN_FONT", "Run", "lettered", "prepare_fonts", "width_of", "wrapped"]

#: What a document begins with; its name in ``pdfmetrics``.
MAIN_FONT = "TT-Main"
_ARABIC, _OTHER = "TT-Arabic", "TT-Other"
_VARIABLE = "[wdth,wght].ttf"
_RIGHT_TO_LEFT = ("R", "AL", "AN")
#: Without these two names that differ in vowel signs or length would look the same.
_reshaper = ArabicReshaper({"delete_harakat": False, "delete_tatweel": False})
#: A Devanagari consonant, its dot below, and the vowel sign i that is written before it.
_SIGN_BEFORE_LETTER = re.compile("([\u0915-\u0939\u0958-\u095f\u0978-\u097f]\u093c?)\u093f")
#: Longer texts are rare and not worth their room.
_REMEMBERED_MAX = 200
#: They shape letters of some scripts and are part of their spelling there; elsewhere they only hide.
_JOINERS = "\u200c\u200d"


class Run(NamedTuple):
    """Text that one font shows."""

    font: str
    text: str


def prepare_fonts() -> None:
    """Register the fonts; safe to call again."""
    if MAIN_FONT in pdfmetrics.getRegisteredFontNames():
        return
    noto = files("fontpkg_noto_sans") / "files" / f"NotoSans{_VARIABLE}"
    arabic = files("fontpkg_noto_sans_arabic") / "files" / f"NotoSansArabic{_VARIABLE}"
    other = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
    for name, path in ((MAIN_FONT, noto), (_ARABIC, arabic), (_OTHER, other)):
        pdfmetrics.registerFont(TTFont(name, str(path)))


def lettered(text: str) -> tuple[Run, ...]:
    """The text in runs from left to right as they are drawn."""
    if text.isascii() and text.isprintable():
        return (Run(MAIN_FONT, text),) if text else ()
    return _lettered(text) if len(text) <= _REMEMBERED_MAX else _letter(text)


@lru_cache(maxsize=4_096)
def _lettered(text: str) -> tuple[Run, ...]:
    return _letter(text)


def _letter(text: str) -> tuple[Run, ...]:
    hides_joiners = any(_needs_joiners(sign) for sign in text)
    shown = "".join("" if hides_joiners and sign in _JOINERS else _visible(sign) for sign in text)
    if any(unicodedata.bidirectional(sign) in _RIGHT_TO_LEFT for sign in shown):
        shown = get_display(_reshaper.reshape(shown), base_dir="L")
    shown = _SIGN_BEFORE_LETTER.sub("\u093f\\1", shown)
    return tuple(Run(font, "".join(signs)) for font, signs in groupby(shown, _font_of))


def width_of(runs: tuple[Run, ...], size: float) -> float:
    """Width in points."""
    return sum(float(pdfmetrics.stringWidth(run.text, run.font, size)) for run in runs)


def wrapped(text: str, width: float, size: float) -> tuple[tuple[Run, ...], ...]:
    """The text in lines that fit ``width``; broken at blanks where there are any, else anywhere."""
    return (_wrapped if len(text) <= _REMEMBERED_MAX else _wrap)(text, width, size)


@lru_cache(maxsize=4_096)
def _wrapped(text: str, width: float, size: float) -> tuple[tuple[Run, ...], ...]:
    return _wrap(text, width, size)


def _wrap(text: str, width: float, size: float) -> tuple[tuple[Run, ...], ...]:
    # A longer text is measured piece by piece only.
    if len(text) <= _REMEMBERED_MAX:
        whole = lettered(text)
        if width_of(whole, size) <= width:
            return (whole,)
    lines: list[tuple[Run, ...]] = []
    rest = text
    while rest:
        end = _fitting(rest, width, size)
        blank = rest.rfind(" ", 1, end + 1)
        if end < len(rest) and blank > 0:
            end = blank
        lines.append(lettered(rest[:end].rstrip(" ") or rest[:end]))
        rest = rest[end:].lstrip(" ")
    return tuple(lines)


def _fitting(text: str, width: float, size: float) -> int:
    """How many signs fit; at least one."""
    low, high = 1, len(text)
    # A line never holds more signs than this: keeps the search off overlong texts.
    high = min(high, int(width / size * 8) + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if width_of(lettered(text[:middle]), size) <= width:
            low = middle
        else:
            high = middle - 1
    return low


def _needs_joiners(sign: str) -> bool:
    """Whether it is Arabic, Syriac or Indic."""
    return 0x0600 <= ord(sign) <= 0x0DFF


@lru_cache(maxsize=8_192)
def _visible(sign: str) -> str:
    category = unicodedata.category(sign)
    if sign == " " or (category[0] not in "CZ" and _font_of(sign, missing="")):
        return sign
    return f"<U+{ord(sign):04X}>"


@lru_cache(maxsize=8_192)
def _font_of(sign: str, missing: str = MAIN_FONT) -> str:
    for name in (MAIN_FONT, _ARABIC, _OTHER):
        if ord(sign) in pdfmetrics.getFont(name).face.charToGlyph:
            return name
    return missing
