"""Which formats of numbers an architecture computes in by itself. What is not listed is unknown, or emulated."""

from fleetfold_contracts.inventory import Precision

_SINCE_CAPABILITY: dict[Precision, tuple[int, int]] = {
    Precision.FP64: (1, 3),
    Precision.FP32: (1, 0),
    Precision.TF32: (8, 0),
    Precision.BF16: (8, 0),
    Precision.FP16: (5, 3),
    Precision.FP8: (8, 9),
    Precision.INT8: (6, 1),
}
"""By compute capability: the CUDA C++ Programming Guide, "Compute Capabilities" and "Arithmetic Instructions"."""
_INT4_CAPABILITIES = ((7, 5), (8, 9))
"""The first and the last with tensor cores that multiply four-bit integers: Hopper's no longer do."""

_EVERY_GFX9 = (Precision.FP64, Precision.FP32, Precision.FP16)
_EVERY_CDNA = (Precision.FP64, Precision.FP32, Precision.BF16, Precision.FP16, Precision.INT8)
_BY_ARCHITECTURE: dict[str, tuple[Precision, ...]] = {
    "gfx908": _EVERY_CDNA,
    "gfx90a": _EVERY_CDNA,
    "gfx94": (*_EVERY_CDNA, Precision.TF32, Precision.FP8),
    "gfx95": (*_EVERY_CDNA, Precision.FP8),
    "gfx9": _EVERY_GFX9,
    "gfx10": _EVERY_GFX9,
    "gfx11": (*_EVERY_CDNA, Precision.INT4),
    "gfx12": (*_EVERY_CDNA, Precision.INT4, Precision.FP8),
}
"""By the beginning of LLVM's name, the first that fits: ROCm's "Data types and precision support" and AMD's instruction
set architectures of CDNA and RDNA."""


def of_cuda(capability: tuple[int, int] | None) -> tuple[Precision, ...]:
    """What an NVIDIA GPU of a compute capability computes in; nothing where it is unknown."""
    if capability is None:
        return ()
    first, last = _INT4_CAPABILITIES
    found = {precision for precision, since in _SINCE_CAPABILITY.items() if capability >= since}
    if first <= capability <= last:
        found.add(Precision.INT4)
    return tuple(precision for precision in Precision if precision in found)


def of_gfx(architecture: str) -> tuple[Precision, ...]:
    """What an AMD GPU of an architecture, such as `gfx90a`, computes in; nothing where it is unknown."""
    found = next((known for name, known in _BY_ARCHITECTURE.items() if architecture.startswith(name)), ())
    return tuple(precision for precision in Precision if precision in found)
