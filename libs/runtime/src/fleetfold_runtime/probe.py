"""The health check of a container: `python -m fleetfold_runtime.probe PORT` ends with 0 when the service is ready."""

import sys
import urllib.request


def main(arguments: list[str]) -> int:
    """Ask `/readyz` on this machine. 0: ready, 1: not, 2: no port given."""
    if len(arguments) != 1 or not arguments[0].isdigit():
        sys.stderr.write("usage: python -m fleetfold_runtime.probe PORT\n")
        return 2
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{arguments[0]}/readyz", timeout=3) as answer:
            return 0 if answer.status == 200 else 1
    except OSError as error:
        sys.stderr.write(f"not ready: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
