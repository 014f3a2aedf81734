"""What a container says and does, waited for with a deadline."""

import json
import time
from contextlib import closing
from typing import Any, Final

from docker.models.containers import Container

# Everything takes long where two cores train, serve and test at the same time.
DEADLINE_S: Final = 240.0


def logged(
    container: Container, event: str, since: float | None = None, **fields: object
) -> dict[str, Any]:
    """Wait for a line of the service's log and give it.

    Args:
        container: the service's.
        event: what the line tells.
        since: Unix time from which on the log is read; by default from the first start on.
        fields: what else the line has.
    """
    wanted = {"event": event, **fields}
    ends_at = time.monotonic() + DEADLINE_S
    lines: list[str] = []
    # The health check alone is a line every few seconds, so the loop sees the deadline pass.
    with closing(container.logs(stream=True, follow=True, since=since)) as log:
        for line in log:
            lines.append(line.decode(errors="replace").rstrip())
            entry = _parsed(lines[-1])
            if all(entry.get(name) == value for name, value in wanted.items()):
                return entry
            assert time.monotonic() < ends_at, f"no {wanted} in {DEADLINE_S:.0f} s"
    raise AssertionError(f"ended without {wanted}:\n" + "\n".join(lines[-20:]))


def wait_for_line(container: Container, line: str) -> None:
    """Wait until a container has said a line that is no log entry."""
    ends_at = time.monotonic() + DEADLINE_S
    while line not in (lines := container.logs().decode(errors="replace").splitlines()):
        container.reload()
        assert container.status == "running", lines
        assert time.monotonic() < ends_at, f"no {line!r} in {DEADLINE_S:.0f} s: {lines}"


def ended(container: Container) -> tuple[int, list[str]]:
    """Wait for the end; give the exit code and what was said, line by line."""
    code: int = container.wait(timeout=DEADLINE_S)["StatusCode"]
    return code, container.logs().decode(errors="replace").splitlines()


def only_line(code: int, lines: list[str], exit_code: int) -> str:
    """Require a failure that is told in one line, and give that line."""
    assert code == exit_code, lines
    assert len(lines) == 1, lines
    return lines[0]


def _parsed(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        # The runtimes write lines of their own.
        return {}
    return entry if isinstance(entry, dict) else {}
