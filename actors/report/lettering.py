"""Any Unicode text on paper: which font shows which signs, and what stands for those that none shows.

Noto Sans leads; Noto Sans Arabic and DejaVu Sans (Hebrew, symbols) help out. Arabic letters are joined and
right-to-left stretches are put in reading order inside their own text, so that a text never turns its
neighbours round. What no font has, and what has no look of its own (controls, direction marks), is written
out as ``<U+202E>``; nothing is left out.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import arabic_reshaper
from bidi.algorithm import get_display
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

__all__ = ["Run", "lettered", "prepare_fonts", "width_of", "wrapped"]

_MAIN, _ARABIC, _OTHER = "TT-Main", "TT-Arabic", "TT-Other"
_VARIABLE = "[wdth,wght].ttf"
_RIGHT_TO_LEFT = ("R", "AL", "AN")
#: They shape letters of some scripts and are part of their spelling there; elsewhere they only hide.
_JOINERS = "\u200c\u200d"


class Run(NamedTuple):
    """Text that one font shows."""

    font: str
    text: str


def prepare_fonts() -> None:
    """Register the fonts; safe to call again."""
    if _MAIN in pdfmetrics.getRegisteredFontNames():
        return
    noto = files("fontpkg_noto_sans") / "files" / f"NotoSans{_VARIABLE}"
    arabic = files("fontpkg_noto_sans_arabic") / "files" / f"NotoSansArabic{_VARIABLE}"
    other = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
    for name, path in ((_MAIN, noto), (_ARABIC, arabic), (_OTHER, other)):
        pdfmetrics.registerFont(TTFont(name, str(path)))


def lettered(text: str) -> tuple[Run, ...]:
    """The text in runs from left to right as they are drawn."""
    if text.isascii() and text.isprintable():
        return (Run(_MAIN, text),) if text else ()
    return _lettered(text)


@lru_cache(maxsize=4_096)
def _lettered(text: str) -> tuple[Run, ...]:
    hides_joiners = any(_needs_joiners(sign) for sign in text)
    shown = "".join("" if hides_joiners and sign in _JOINERS else _visible(sign) for sign in text)
    if any(unicodedata.bidirectional(sign) in _RIGHT_TO_LEFT for sign in shown):
        shown = get_display(arabic_reshaper.reshape(shown), base_dir="L")
    runs: list[Run] = []
    for sign in shown:
        font = _font_of(sign)
        if runs and runs[-1].font == font:
            runs[-1] = Run(font, runs[-1].text + sign)
        else:
            runs.append(Run(font, sign))
    return tuple(runs)


def width_of(runs: tuple[Run, ...], size: float) -> float:
    """Width in points."""
    return sum(float(pdfmetrics.stringWidth(run.text, run.font, size)) for run in runs)


def wrapped(text: str, width: float, size: float) -> list[tuple[Run, ...]]:
    """The text in lines that fit ``width``; broken at blanks where there are any, else anywhere."""
    whole = lettered(text)
    if width_of(whole, size) <= width:
        return [whole]
    lines: list[tuple[Run, ...]] = []
    rest = text
    while rest:
        end = _fitting(rest, width, size)
        blank = rest.rfind(" ", 1, end + 1)
        if end < len(rest) and blank > 0:
            end = blank
        lines.append(lettered(rest[:end].rstrip(" ") or rest[:end]))
        rest = rest[end:].lstrip(" ")
    return lines


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
def _font_of(sign: str, missing: str = _MAIN) -> str:
    for name in (_MAIN, _ARABIC, _OTHER):
        if ord(sign) in pdfmetrics.getFont(name).face.charToGlyph:
            return name
    return missing
