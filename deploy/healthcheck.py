"""The container's health check: ends with 0 where the process beside it answers, with 1 where it does not.

It asks on VIVA_PORT, where `viva serve` listens, and `viva worker` when it is started with that --port.
"""

import http.client
import os
import sys

WITHIN_S = 4.0


def main() -> int:
    """Ask once."""
    # Not urllib, which would send it to the proxy that models may need.
    connection = http.client.HTTPConnection("localhost", int(os.environ.get("VIVA_PORT", "8080")), timeout=WITHIN_S)
    try:
        connection.request("GET", "/healthz")
        return int(connection.getresponse().status != http.client.OK)
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
