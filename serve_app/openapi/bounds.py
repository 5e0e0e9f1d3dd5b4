"""The bounds that the description names, taken from the modules that keep them.

The only place where the description reaches into the routes' own constants, so that no number is typed twice.
"""

from __future__ import annotations

from serve_app import access, feed, history, ingest, parameters, reports, tokens
from serve_app.access import SESSION_COOKIE
from tradetrail import report
from tradetrail.csv_form import PROFILES
from tradetrail.event import LOOKUP_FIELDS

__all__ = [
    "BODY_TIMEOUT_S",
    "BUCKETS",
    "FEED_PING_S",
    "FEED_RECHECK_S",
    "FEED_RETRY_MS",
    "FEED_USERS_MAX",
    "FILTER_FIELDS_MAX",
    "FILTER_TYPES_MAX",
    "FORMS",
    "IDEMPOTENCY_KEY_CHARACTERS_MAX",
    "LOOKUP_FIELDS",
    "PAGE_DEFAULT",
    "PAGE_MAX",
    "PROFILES",
    "REPORTS_PAGE_DEFAULT",
    "REPORTS_PAGE_MAX",
    "REPORT_BODY_BYTES_MAX",
    "REPORT_TITLE_CHARACTERS_MAX",
    "REPORT_TYPES_MAX",
    "REPORT_USERS_MAX",
    "SECRET_CHARACTERS_MAX",
    "SESSION_COOKIE",
    "STREAMS_MAX",
    "TOKEN_LIFETIME_S_MAX",
]

BODY_TIMEOUT_S = ingest._BODY_TIMEOUT_S
SECRET_CHARACTERS_MAX = access._SECRET_CHARACTERS_MAX

PAGE_DEFAULT, PAGE_MAX = history._LIMIT_DEFAULT, history._LIMIT_MAX
BUCKETS = history._BUCKETS
FORMS = history._FORMS
STREAMS_MAX = history._STREAMS_MAX
FILTER_TYPES_MAX = parameters._TYPES_MAX
FILTER_FIELDS_MAX = parameters._FIELDS_MAX

FEED_USERS_MAX = feed._USERS_MAX
FEED_PING_S = feed._PING_S
FEED_RECHECK_S = feed._RECHECK_S
FEED_RETRY_MS = feed._RETRY_MS

REPORTS_PAGE_DEFAULT, REPORTS_PAGE_MAX = reports._LIMIT_DEFAULT, reports._LIMIT_MAX
REPORT_BODY_BYTES_MAX = reports._BODY_BYTES_MAX
IDEMPOTENCY_KEY_CHARACTERS_MAX = reports._KEY_CHARACTERS_MAX
REPORT_USERS_MAX = report._USERS_MAX
REPORT_TYPES_MAX = report._TYPES_MAX
REPORT_TITLE_CHARACTERS_MAX = report._TITLE_CHARACTERS_MAX

TOKEN_LIFETIME_S_MAX = tokens._LIFETIME_S_MAX
