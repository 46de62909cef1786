"""The names of PCI devices, from the list that most Linux systems carry (the package hwdata or pci.ids)."""

import re
from pathlib import Path

LISTS = ("usr/share/hwdata/pci.ids", "usr/share/misc/pci.ids", "usr/share/pci.ids")

_MARKETED_AS = re.compile(r"\[(.+)\]")


def pci_name(root: Path, vendor_id: int, device_id: int) -> str | None:
    """What a device is sold as, such as `Arc A770` where the list says `DG2 [Arc A770]`; None where it is not listed.

    In the list a line that is not indented begins a vendor, and one that is indented by one tab is a device of it.
    """
    for path in LISTS:
        try:
            text = (root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        return _found(text, f"{vendor_id:04x}", f"{device_id:04x}")
    return None


def _found(text: str, vendor: str, device: str) -> str | None:
    of_vendor = re.search(rf"^{vendor}  .*\n((?:[\t#].*\n?)*)", text, re.MULTILINE)
    line = re.search(rf"^\t{device}  (.+)$", of_vendor[1], re.MULTILINE) if of_vendor else None
    if line is None:
        return None
    marketed = _MARKETED_AS.search(line[1])
    return (marketed[1] if marketed else line[1]).strip() or None
