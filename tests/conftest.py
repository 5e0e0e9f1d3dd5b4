"""What every room of the tests shares."""

from __future__ import annotations

import os

# The page follows its users live and asks for reports; until the service has these routes its tests run
# against a service that is named: TRADETRAIL_TEST_URL and TRADETRAIL_TEST_TOKEN.
collect_ignore = [] if os.environ.get("TRADETRAIL_TEST_URL") else ["browser"]
