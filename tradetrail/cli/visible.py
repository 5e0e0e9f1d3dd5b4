"""User text made safe to look at: characters without a shape of their own are written out. Pure.

A terminal obeys control characters and reorders text at direction marks; a record must be able to
do neither. Only what the eye sees changes, never the data: output that is not a terminal is exact.
"""

from __future__ import annotations

import re

__all__ = ["json_for_terminal", "visible"]

# Controls, soft hyphen, zero-width and direction marks, line and paragraph separators, tags, lone
# surrogates. The two joiners shape Arabic, Indic and emoji sequences and stay as they are there;
# after a Latin, Greek or Cyrillic character (below U+0530) they can only hide a difference.
_UNSEEN = re.compile(
    "[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u180e"
    "\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff9-\\ufffb"
    "\\U000e0000-\\U000e007f\\ud800-\\udfff]"
    "|(?<![^\\u0000-\\u052f])[\\u200c\\u200d]"
)


def visible(text: str) -> str:
    """The text with each character that has no shape written as ``<U+202E>``."""
    return _UNSEEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def json_for_terminal(line: str) -> str:
    """One line of JSON with such characters as JSON escapes: the same values, safe to print."""
    return _UNSEEN.sub(lambda found: _escape(found[0]), line)


def _escape(character: str) -> str:
    # Outside strings JSON allows only tab and line ends here, and a space means the same there.
    if character in "\t\r\n":
        return " "
    units = character.encode("utf-16-be", "surrogatepass")
    pairs = (units[at : at + 2].hex() for at in range(0, len(units), 2))
    return "".join(f"\\u{pair}" for pair in pairs)
