"""NVIDIA's GPUs, read through NVML by the binding `pynvml` (the package nvidia-ml-py).

A card that MIG has split is not told as a device: its instances are, each with the card's UUID as `partition_of`.
Memory and processes are the instance's own. Temperature, clocks and throttling are the card's, and true of each
instance. What would be counted twice if it were summed up (power, its limit, PCIe throughput, memory errors) is the
card's as well, and told by its first instance alone. NVML gives no utilization of an instance.

A GPU without memory of its own works in the host's: that is told as its memory.
"""

from fleetfold_devices.vendors.nvidia._source import NvidiaSource

__all__ = ["NvidiaSource"]
