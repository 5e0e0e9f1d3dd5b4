"""What every room of the tests shares."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples on every run and every machine; a slow machine is no failure.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# The page follows its users live and asks for reports; until the service has these routes its tests run
# against a service that is named: TRADETRAIL_TEST_URL and TRADETRAIL_TEST_TOKEN.
collect_ignore = [] if os.environ.get("TRADETRAIL_TEST_URL") else ["browser"]
