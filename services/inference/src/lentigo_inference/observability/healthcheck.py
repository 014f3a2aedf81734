"""`python -m lentigo_inference.observability.healthcheck`: exit 0 if the service is ready, else 1.

It runs every few seconds, so it imports only the standard library and not the service.
"""

import http.client
import os
import sys
from collections.abc import Mapping
from typing import Final

_PATH: Final = "/v2/health/ready"
# Shorter than the timeout of the health check in the images.
_TIMEOUT_S: Final = 4.0
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it listens there
_UNHEALTHY: Final = 1


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Ask the service that these variables configure; return 0 if it is ready, else 1.

    Prints the reason if it is not ready.
    """
    host = environment.get("LENTIGO_HOST") or "127.0.0.1"
    port = environment.get("LENTIGO_PORT") or "8000"
    try:
        connection = http.client.HTTPConnection(
            _EVERY_ADDRESS.get(host, host), int(port), timeout=_TIMEOUT_S
        )
        connection.request("GET", _PATH)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _unhealthy(f"no answer: {error}")
    if response.status != http.HTTPStatus.OK:
        return _unhealthy(f"{response.status}: {text}")
    return 0


def _unhealthy(reason: str) -> int:
    sys.stdout.write(reason + "\n")
    return _UNHEALTHY


if __name__ == "__main__":
    sys.exit(main())
