"""The service as a process that may open few files, with more connections than that."""

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.service_process import COMMAND, DEADLINE_S, ServiceProcess, environment

DESCRIPTORS = 256


def test_idle_connections_beyond_the_descriptors_keep_nobody_out_and_fill_no_log(
    tmp_path: Path,
) -> None:
    limited = ["sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh", *COMMAND]
    service = ServiceProcess(environment(tmp_path / "models"), limited)
    try:
        with service.client, ExitStack() as stack:
            for _ in range(2 * DESCRIPTORS):
                stack.enter_context(socket.create_connection(service.address, timeout=DEADLINE_S))
            for _ in range(3):
                assert service.client.get("/v2/health/live").status_code == 200
            assert service.stop() == 0
    finally:
        service.process.kill()
        service.join()
    # Connections make way; if a burst is quicker, asyncio cannot accept for a moment.
    allowed = {"connections at their limit": 1, "connections cannot be accepted": 1}
    for event, times in allowed.items():
        assert sum(f'"event": "{event}"' in line for line in service.lines) <= times
    assert sum(map(len, service.lines)) < 20_000
    assert len(service.lines) < 30
