"""`python -m fleetfold_cli.local_gpus`: whether this machine has GPUs that can be read. 0: it has, 1: it has none.

It is a process of its own, because a call into a wedged driver never returns, and no thread can be cancelled.
"""

import sys

from fleetfold_devices.local import local_sources


def main() -> int:
    """Open every vendor's driver and look."""
    found = [device for source in local_sources("local").sources for device in source.discover().devices]
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
