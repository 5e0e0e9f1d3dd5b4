"""Masks secrets of FIX messages before anything else sees them.

Secrets are Password, NewPassword, EncryptedPassword and EncryptedNewPassword wherever they stand,
and RawData of a logon or user request, which carries credentials there. A secret quoted inside
another value (a message in a text, a torn field) is masked too, with what follows it in that
value. With a secret go the fields that would help to guess it: the length of its data field, and
BodyLength and CheckSum.

Invariant: what is returned depends on no byte of a secret, so nothing made from it (identity, digest, raw
text) tells one secret from another. One bit stays: whether length and checksum held.

BUG: a secret that itself holds a separator and then digits and ``=`` is taken for two fields where no right
length says otherwise, and its second part is not masked. The log holds nothing by which to tell. FIX forbids
such values outside data fields, and data fields with right lengths are safe.
"""

from __future__ import annotations

import re

from tradetrail.fix.dictionary import data_fields
from tradetrail.fix.message import Field, RawMessage

__all__ = ["MASK", "redact"]

MASK = b"***"

_SECRETS = frozenset((554, 925, 1402, 1404))
_SECRETS_OF_CREDENTIALS = _SECRETS | {96}
#: Logon and UserRequest.
_CREDENTIAL_MESSAGES = (b"A", b"BE")
_WHOLE_MESSAGE = frozenset((9, 10))
#: Nearly every message is let through by one cheap look for these.
_SIGNS = (b"554=", b"925=", b"1402=", b"1404=")
_QUOTED = re.compile(rb"(?<![0-9])(0*(?:554|925|1402|1404)=)[^\x01]*")


def redact(message: RawMessage, message_type: bytes) -> tuple[tuple[Field, ...], tuple[int, ...]]:
    """The fields with secrets masked, and the tags that were masked, each once, in order."""
    credential = message_type in _CREDENTIAL_MESSAGES
    if not credential and not any(sign in message.raw for sign in _SIGNS):
        return message.fields, ()
    secrets = _SECRETS_OF_CREDENTIALS if credential else _SECRETS
    quoting = {tag for tag, value in message.fields if _QUOTED.search(value)}
    found = quoting | {tag for tag, _ in message.fields if tag in secrets}
    if not found:
        return message.fields, ()
    telling = _WHOLE_MESSAGE | {length for length, data in data_fields().items() if data in found}
    covered = secrets | telling
    fields = tuple(
        (tag, MASK if tag in covered else _QUOTED.sub(rb"\1" + MASK, value))
        for tag, value in message.fields
    )
    masked = found | telling
    return fields, tuple(dict.fromkeys(tag for tag, _ in fields if tag in masked))
