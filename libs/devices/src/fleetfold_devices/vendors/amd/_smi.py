"""How AMD SMI is opened, and what its errors and its figures mean here."""

import contextlib
from functools import partial
from typing import Any

from fleetfold_contracts.inventory import Vendor
from fleetfold_contracts.samples import Absence
from fleetfold_devices.library.binding import Driver, loading, on_one_line
from fleetfold_devices.meter import AbsentError
from fleetfold_devices.port import DeviceLostError, VendorUnavailableError

NAME = Vendor.AMD.value
REMEDY = (
    "install ROCm's amd-smi-lib, no older than the package amdsmi, set ROCM_PATH if it is not in /opt/rocm, "
    "and load the driver amdgpu; a container needs /dev/kfd and /dev/dri"
)

MIB = 1024**2
"""The library says MB, and means this."""

NOT_READ = frozenset({2**32 - 1, 2**64 - 1})
"""What the library hands out for a figure that it does not have, where the binding does not make it "N/A"."""


def opened() -> Any:
    """The binding, with the library running.

    Raises:
        VendorUnavailableError: no driver, no library, no binding, or one too old.
    """
    with loading(NAME, REMEDY):
        import amdsmi as smi  # noqa: PLC0415  # without its library the import itself fails
    _start(smi)
    return smi


def close(smi: Any) -> None:
    """Stop the library."""
    # A driver that is gone cannot be let go, and need not be.
    with contextlib.suppress(smi.AmdSmiException):
        smi.amdsmi_shut_down()


def reopen(smi: Any) -> None:
    """Start the library anew: it looks for cards only then. No handle is valid any more.

    Raises:
        VendorUnavailableError: the driver is gone.
    """
    close(smi)
    _start(smi)


def _start(smi: Any) -> None:
    try:
        smi.amdsmi_init()
    except smi.AmdSmiException as error:
        raise VendorUnavailableError(NAME, on_one_line(error), REMEDY) from error


def driver(smi: Any) -> Driver:
    """How to call AMD SMI, so that it speaks of errors as we do."""
    return Driver(smi.AmdSmiException, partial(_meaning, smi.amdsmi_wrapper))


def _meaning(status: Any, error: Any) -> Exception:
    match getattr(error, "err_code", None):
        case status.AMDSMI_STATUS_NOT_SUPPORTED | status.AMDSMI_STATUS_NOT_YET_IMPLEMENTED:
            return AbsentError(Absence.UNSUPPORTED, on_one_line(error), for_good=True)
        case status.AMDSMI_STATUS_NOT_FOUND:
            return DeviceLostError(on_one_line(error))
        case status.AMDSMI_STATUS_NOT_INIT | status.AMDSMI_STATUS_DRIVER_NOT_LOADED:
            return VendorUnavailableError(NAME, on_one_line(error), REMEDY)
        case _:
            return AbsentError(Absence.ERROR, on_one_line(error))


def figure(*candidates: object) -> Any:
    """The first that is a figure.

    Raises:
        AbsentError: none is.
    """
    for value in candidates:
        if not isinstance(value, str) and value not in NOT_READ:
            return value
    raise AbsentError(Absence.UNSUPPORTED, for_good=True)


def metrics(smi: Any, handle: Any) -> Any:
    """The table of figures that the card's firmware keeps, as AMD SMI's struct `amdsmi_gpu_metrics_t`.

    It is asked below the binding's own function, which makes a truth value of the reasons for throttling.
    """
    table = smi.amdsmi_wrapper.amdsmi_gpu_metrics_t()
    status = smi.amdsmi_wrapper.amdsmi_get_gpu_metrics_info(handle, table)
    if status != smi.amdsmi_wrapper.AMDSMI_STATUS_SUCCESS:
        raise smi.AmdSmiLibraryException(status)
    return table
