"""What the README shows is what the service does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cluster.calls import walk
from tests.cluster.conftest import Service

README = Path(__file__).parents[2] / "README.md"

pytestmark = pytest.mark.parametrize("service", ["haproxy"], indirect=True)


def test_the_curl_commands_of_the_readme_work_as_they_stand(service: Service) -> None:
    blocks = re.findall(r"^```\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    (script,) = [block for block in blocks if "auth=" in block]
    # Each command must succeed; -sS keeps the progress meter out, --fail-with-body makes a refusal fail.
    script = script.replace("curl -", "curl -sS --fail-with-body -")
    done = subprocess.run(
        ["bash", "-euc", script],
        env={**os.environ, "TRADETRAIL_URL": service.url, "TRADETRAIL_TOKEN": service.token},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    items = walk(service, "jane", 10)
    assert [item["id"] for item in items] == ["1", "2"]
    assert items[0]["data"]["Price"] == "99.10"
    assert items[1]["data"]["OrigClOrdID"] == "A1"
