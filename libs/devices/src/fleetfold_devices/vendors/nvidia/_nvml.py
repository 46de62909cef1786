"""How NVML is opened, and what its errors mean here."""

import contextlib
from functools import partial
from typing import Any

from fleetfold_contracts.inventory import Vendor
from fleetfold_contracts.samples import Absence
from fleetfold_devices.library.binding import Driver, loading
from fleetfold_devices.meter import AbsentError
from fleetfold_devices.port import DeviceLostError, VendorUnavailableError

NAME = Vendor.NVIDIA.value
REMEDY = (
    "install NVIDIA's driver, which brings libnvidia-ml.so.1, and the package nvidia-ml-py; "
    "a container needs the NVIDIA Container Toolkit and its GPUs handed in"
)


def opened() -> Any:
    """The binding, with the library running.

    Raises:
        VendorUnavailableError: no driver, no library, no binding, or one too old.
    """
    with loading(NAME, REMEDY):
        import pynvml as nvml  # noqa: PLC0415  # a host without the driver must not pay for it, nor fail by it
    _start(nvml)
    return nvml


def close(nvml: Any) -> None:
    """Stop the library."""
    # A driver that is gone cannot be let go, and need not be.
    with contextlib.suppress(nvml.NVMLError):
        nvml.nvmlShutdown()


def reopen(nvml: Any) -> None:
    """Start the library anew: it looks for cards only then. No handle is valid any more.

    Raises:
        VendorUnavailableError: the driver is gone, or was exchanged for one that this process cannot talk to.
    """
    close(nvml)
    _start(nvml)


def _start(nvml: Any) -> None:
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise VendorUnavailableError(NAME, str(error), REMEDY) from error


def driver(nvml: Any) -> Driver:
    """How to call NVML, so that it speaks of errors as we do."""
    return Driver(nvml.NVMLError, partial(_meaning, nvml))


def _meaning(nvml: Any, error: Any) -> Exception:
    match error.value:
        case (
            nvml.NVML_ERROR_NOT_SUPPORTED
            | nvml.NVML_ERROR_FUNCTION_NOT_FOUND
            | nvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH
        ):
            return AbsentError(Absence.UNSUPPORTED, str(error), for_good=True)
        case nvml.NVML_ERROR_GPU_IS_LOST | nvml.NVML_ERROR_RESET_REQUIRED | nvml.NVML_ERROR_GPU_NOT_FOUND:
            return DeviceLostError(str(error))
        case (
            nvml.NVML_ERROR_UNINITIALIZED | nvml.NVML_ERROR_DRIVER_NOT_LOADED | nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
        ):
            return VendorUnavailableError(NAME, str(error), REMEDY)
        case _:
            return AbsentError(Absence.ERROR, str(error))
