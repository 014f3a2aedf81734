"""The page's tests say why they did not run, and fail nothing, where there is no browser."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WITHOUT_PLAYWRIGHT = "import sys; sys.modules['playwright'] = None; "
RUN = "import pytest; sys.exit(pytest.main(['tests/e2e/page', '-n', '0', '-rs']))"


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("import sys; ", "apt-get install chromium"),
        (WITHOUT_PLAYWRIGHT, "Playwright is not installed: make setup"),
    ],
)
def test_without_a_browser_they_are_skipped_with_a_reason(
    tmp_path: Path, before: str, reason: str
) -> None:
    # A path of commands on which there is no browser.
    environment = {**os.environ, "PATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", before + RUN],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert reason in result.stdout
    assert "passed" not in result.stdout.splitlines()[-1]
