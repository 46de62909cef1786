"""What a reading is: a value, or an absence."""

from collections.abc import Callable
from typing import TypeVar

from fleetfold_contracts.samples import Absence
from fleetfold_devices.meter import AbsentError

T = TypeVar("T")


def read_or_absence(read: Callable[[], T]) -> T | Absence:
    """What is read, or why it is not."""
    try:
        return read()
    except AbsentError as error:
        return error.reason
