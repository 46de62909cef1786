"""Trees of /sys and /proc like those that the Linux kernel shows, for sources that read there.

They are made from the kernel's documentation and sources. They prove how we handle what a kernel shows, and nothing
about a kernel.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

MIB = 1024**2
GIB = 1024**3

XE_CARD = "sys/devices/pci0000:00/0000:00:01.0/0000:03:00.0"
I915_CARD = "sys/devices/pci0000:00/0000:00:1c.0/0000:05:00.0"
INTEGRATED = "sys/devices/pci0000:00/0000:00:02.0"
MSM_GPU = "sys/devices/platform/soc@0/3d00000.gpu"
KGSL_GPU = "sys/devices/platform/soc/3d00000.qcom,kgsl-3d0/kgsl/kgsl-3d0"

HOST_NAMESPACE = "pid:[4026531836]"
ALL_CAPABILITIES = "000001ffffffffff"


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 10**15

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


class Tree:
    """A root directory with what the kernel of a machine shows."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write({"proc/sys/kernel/osrelease": "6.12.9", "proc/meminfo": "MemTotal: 9999999 kB\nMemAvailable: 0 kB"})
        self.see_programs()

    def write(self, files: Mapping[str, object]) -> None:
        for path, content in files.items():
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())

    def link(self, path: str, target: str) -> None:
        """Let a path lead to another one of this tree, as the kernel's links do: relative."""
        link = self.root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(Path(*[".."] * (len(Path(path).parts) - 1)) / target)

    def remove(self, path: str) -> None:
        place = self.root / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()

    def block(self, path: str) -> None:
        """Let a file be there, but fail to be read."""
        self.remove(path)
        (self.root / path).mkdir()

    def see_programs(self, *, namespace: str = HOST_NAMESPACE, capabilities: str = ALL_CAPABILITIES) -> None:
        self.write({"proc/self/status": f"Name:\tagent\nCapEff:\t{capabilities}"})
        link = self.root / "proc/self/ns/pid"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(namespace)

    def program(self, pid: int, name: str, *fdinfo: str, node: str = "/dev/dri/renderD128") -> None:
        """A program that opened a GPU as often as there are texts, and a file beside."""
        self.write({f"proc/{pid}/comm": name, f"proc/{pid}/fdinfo/0": "pos:\t0\nflags:\t0100002"})
        self.write({f"proc/{pid}/fdinfo/{number}": text for number, text in enumerate(fdinfo, start=3)})
        for number, target in enumerate(["/dev/null", *[node] * len(fdinfo)]):
            link = self.root / f"proc/{pid}/fd/{number + 2 if number else 0}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(target)

    def drm(self, device: str, driver: str, *, number: int = 0) -> None:
        """Let a driver show a PCI device as a card with a monitor, and a render node."""
        card = f"{device}/drm/card{number}"
        self.link(f"{device}/driver", f"sys/bus/pci/drivers/{driver}")
        self.link(f"sys/bus/pci/drivers/{driver}/{Path(device).name}", device)
        self.write({f"{card}/dev": f"226:{number}", f"{device}/drm/renderD{128 + number}/dev": f"226:{128 + number}"})
        self.write({f"{card}/card{number}-DP-1/status": "connected"})
        self.link(f"{card}/device", device)
        self.link(f"{card}/card{number}-DP-1/device", card)
        self.link(f"sys/class/drm/card{number}", card)
        self.link(f"sys/class/drm/card{number}-DP-1", f"{card}/card{number}-DP-1")
        self.link(f"sys/class/drm/renderD{128 + number}", f"{device}/drm/renderD{128 + number}")


def xe_card(tree: Tree, *, number: int = 0, hwmon: int = 4) -> None:
    """An Arc B580 with the driver xe."""
    sensors, gt = f"{XE_CARD}/hwmon/hwmon{hwmon}", f"{XE_CARD}/tile0/gt0/freq0"
    tree.drm(XE_CARD, "xe", number=number)
    tree.write(
        {
            f"{XE_CARD}/vendor": "0x8086",
            f"{XE_CARD}/device": "0xe20b",
            f"{XE_CARD}/power/runtime_status": "active",
            f"{XE_CARD}/tile0/physical_vram_size_bytes": 12 * GIB,
            f"{sensors}/name": "xe",
            f"{sensors}/energy1_input": 5_000_000_000,
            f"{sensors}/energy2_input": 3_000_000_000,
            f"{sensors}/power1_max": 190_000_000,
            f"{sensors}/temp2_input": 54_000,
            f"{sensors}/temp3_input": 58_000,
            f"{gt}/act_freq": 2850,
            f"{XE_CARD}/tile0/gt1/freq0/act_freq": 3000,  # of the engines for video
            f"{gt}/throttle/status": 0,
            **{f"{gt}/throttle/reason_{name}": 0 for name in ("pl1", "pl2", "pl4", "thermal", "prochot", "vr_tdc")},
        }
    )


def i915_card(tree: Tree, *, number: int = 1) -> None:
    """An Arc A770 with the driver i915, as Intel's own packages have it."""
    card, sensors = f"{I915_CARD}/drm/card{number}", f"{I915_CARD}/hwmon"
    reasons = {f"{card}/gt/gt0/throttle_reason_{name}": 0 for name in ("status", "pl1", "thermal", "ratl", "prochot")}
    tree.drm(I915_CARD, "i915", number=number)
    tree.write(
        {
            f"{I915_CARD}/device": "0x56a0",
            f"{card}/lmem_total_bytes": 16 * GIB,
            f"{card}/gt_act_freq_mhz": 2100,
            f"{sensors}/hwmon1/name": "i915_gt0",
            f"{sensors}/hwmon1/energy1_input": 1,
            f"{sensors}/hwmon2/name": "i915",
            f"{sensors}/hwmon2/energy1_input": 7_000_000,
            f"{sensors}/hwmon2/power1_max": 0,
            f"{sensors}/hwmon2/temp1_input": 61_000,
            **reasons,
        }
    )


def integrated_card(tree: Tree, *, number: int = 2) -> None:
    """The GPU of a processor, with the driver i915."""
    tree.drm(INTEGRATED, "i915", number=number)
    tree.write({f"{INTEGRATED}/device": "0x46a6", f"{INTEGRATED}/drm/card{number}/gt_act_freq_mhz": 350})


def msm_gpu(tree: Tree) -> None:
    """An Adreno 690 with the driver msm, beside a memory controller that has devfreq too."""
    devfreq = f"{MSM_GPU}/devfreq/3d00000.gpu"
    thermal = "sys/class/thermal"
    tree.write(
        {
            f"{MSM_GPU}/of_node/compatible": b"qcom,adreno-690.0\0qcom,adreno\0",
            f"{devfreq}/cur_freq": 345_000_000,
            f"{devfreq}/max_freq": 690_000_000,
            "sys/devices/platform/memory/devfreq/memory/cur_freq": 1,
            f"{thermal}/thermal_zone0/type": "cpu0-thermal",
            f"{thermal}/thermal_zone0/temp": 90_000,
            f"{thermal}/thermal_zone1/type": "gpuss-0-thermal",
            f"{thermal}/thermal_zone1/temp": 41_500,
            f"{thermal}/thermal_zone2/type": "gpuss-1-thermal",
            f"{thermal}/thermal_zone2/temp": 43_200,
            f"{thermal}/cooling_device0/type": "cpufreq-cpu0",
            f"{thermal}/cooling_device0/cur_state": 3,
            f"{thermal}/cooling_device1/type": "devfreq-3d00000.gpu",
            f"{thermal}/cooling_device1/cur_state": 0,
        }
    )
    tree.link(f"{devfreq}/device", MSM_GPU)
    tree.link(f"{MSM_GPU}/driver", "sys/bus/platform/drivers/adreno")
    tree.link("sys/class/devfreq/3d00000.gpu", devfreq)
    tree.link("sys/devices/platform/memory/devfreq/memory/device", "sys/devices/platform/memory")
    tree.link("sys/devices/platform/memory/driver", "sys/bus/platform/drivers/qcom-bwmon")
    tree.link("sys/class/devfreq/memory", "sys/devices/platform/memory/devfreq/memory")


def kgsl_gpu(tree: Tree) -> None:
    """An Adreno 740 with the driver kgsl, on Android."""
    tree.write(
        {
            f"{KGSL_GPU}/gpu_model": "Adreno740v2",
            f"{KGSL_GPU}/gpubusy": " 450000 1000000",
            f"{KGSL_GPU}/gpuclk": 680_000_000,
            f"{KGSL_GPU}/max_gpuclk": 680_000_000,
            f"{KGSL_GPU}/temp": 47_100,
            f"{KGSL_GPU}/thermal_pwrlevel": 0,
            "system/build.prop": "ro.build.version.sdk=34",
        }
    )
    tree.link("sys/class/kgsl/kgsl-3d0", KGSL_GPU)


def xe_client(client_id: int, *, cycles: int, all_cycles: int, vram_mib: int = 0, pci: str = "0000:03:00.0") -> str:
    """What xe tells of a client: here of one that renders and copies."""
    return (
        f"pos:\t0\ndrm-driver:\txe\ndrm-client-id:\t{client_id}\ndrm-pdev:\t{pci}\n"
        f"drm-total-vram0:\t{2 * vram_mib} MiB\ndrm-resident-vram0:\t{vram_mib} MiB\ndrm-resident-gtt:\t192 KiB\n"
        f"drm-cycles-rcs:\t{cycles}\ndrm-total-cycles-rcs:\t{all_cycles}\n"
        f"drm-cycles-bcs:\t{all_cycles}\ndrm-total-cycles-bcs:\t{all_cycles}\n"
    )


def i915_client(
    client_id: int, *, busy_ns: int, pci: str = "0000:05:00.0", local_kib: int = 0, capacity: int = 1
) -> str:
    """What i915 tells of a client: here of one that computes."""
    return (
        f"drm-driver:\ti915\ndrm-client-id:\t{client_id}\ndrm-pdev:\t{pci}\n"
        f"drm-memory-local0:\t{local_kib} KiB\ndrm-engine-render:\t0 ns\n"
        f"drm-engine-compute:\t{busy_ns} ns\ndrm-engine-capacity-compute:\t{capacity}\n"
        f"drm-engine-video:\t{10**18} ns\n"
    )


def msm_client(client_id: int, *, busy_ns: int) -> str:
    """What msm tells of a client."""
    return (
        f"drm-driver:\tmsm\ndrm-client-id:\t{client_id}\ndrm-engine-gpu:\t{busy_ns} ns\n"
        f"drm-cycles-gpu:\t1153645024\ndrm-maxfreq-gpu:\t690000000 Hz\n"
    )
