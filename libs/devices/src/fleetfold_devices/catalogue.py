"""GPU models: the short names that workloads ask for, and what simulated devices of a model are like."""

from dataclasses import dataclass

from fleetfold_contracts.inventory import DeviceType, Precision, Vendor
from fleetfold_devices.precisions import of_cuda, of_gfx

GIB = 1024**3

_MAKERS = frozenset({"amd", "apple", "intel", "nvidia", "qualcomm"})
_BRANDS = _MAKERS | {"instinct", "radeon", "geforce", "tesla", "quadro"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model of GPU. Bandwidth is in gigabytes a second; a compute unit is a streaming multiprocessor at NVIDIA."""

    name: str
    device_name: str
    vendor: Vendor
    device_type: DeviceType
    memory_bytes: int
    memory_bandwidth_gbps: float | None = None
    compute_units: int | None = None
    supports_fp64: bool | None = None
    supports_tensor_cores: bool | None = None
    compute_capability: str | None = None
    precisions: tuple[Precision, ...] = ()
    max_power_watts: float = 250.0
    max_clock_mhz: float = 1500.0


def short_name(device_name: str) -> str:
    """A device's name without its maker's brands: `A10` for `NVIDIA A10`, `RX 7600` for `AMD Radeon RX 7600`."""
    words = device_name.split()
    first = next((place for place, word in enumerate(words) if word.lower() not in _BRANDS), 0)
    return " ".join(words[first:])


def _data_sheet(
    name: str,
    device_name: str,
    *,
    gib: int,
    gbps: float,
    units: int,
    watts: float,
    mhz: float,
    architecture: tuple[int, int] | str,
    tensor_cores: bool = True,
) -> Model:
    amd = isinstance(architecture, str)
    return Model(
        name=name,
        device_name=device_name,
        vendor=Vendor.AMD if amd else Vendor.NVIDIA,
        device_type=DeviceType.ROCM if amd else DeviceType.CUDA,
        memory_bytes=gib * GIB,
        memory_bandwidth_gbps=float(gbps),
        compute_units=units,
        supports_fp64=True,
        supports_tensor_cores=tensor_cores,
        compute_capability=None if amd else "{}.{}".format(*architecture),
        precisions=of_gfx(architecture) if amd else of_cuda(architecture),
        max_power_watts=float(watts),
        max_clock_mhz=float(mhz),
    )


_TRACE_MODELS = (
    _data_sheet(
        "P100",
        "Tesla P100-PCIE-16GB",
        gib=16,
        gbps=732,
        units=56,
        watts=250,
        mhz=1303,
        architecture=(6, 0),
        tensor_cores=False,
    ),
    _data_sheet(
        "V100M16", "Tesla V100-SXM2-16GB", gib=16, gbps=900, units=80, watts=300, mhz=1530, architecture=(7, 0)
    ),
    _data_sheet(
        "V100M32", "Tesla V100-SXM2-32GB", gib=32, gbps=900, units=80, watts=300, mhz=1530, architecture=(7, 0)
    ),
    _data_sheet("T4", "Tesla T4", gib=16, gbps=320, units=40, watts=70, mhz=1590, architecture=(7, 5)),
    _data_sheet("A10", "NVIDIA A10", gib=24, gbps=600, units=72, watts=150, mhz=1695, architecture=(8, 6)),
    _data_sheet("G2", "AMD Instinct MI100", gib=32, gbps=1228.8, units=120, watts=300, mhz=1502, architecture="gfx908"),
    _data_sheet("G3", "AMD Instinct MI210", gib=64, gbps=1638.4, units=104, watts=300, mhz=1700, architecture="gfx90a"),
)

MODELS: dict[str, Model] = {model.name: model for model in _TRACE_MODELS}
"""The models of the bundled trace, by its names for them. Memory, bandwidth, compute units, board power and boost clock
are those of the makers' data sheets (NVIDIA: Tesla P100, V100, T4 and A10; AMD: Instinct MI100 and MI210).

**G2 and G3 are stand-ins.** The trace hides which GPUs they are. They are simulated here as AMD Instinct cards, so that
a simulated fleet is a mixed one; nothing about the real cards follows from it.
"""
