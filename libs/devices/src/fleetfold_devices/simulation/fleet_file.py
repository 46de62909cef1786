"""Simulated fleets: nodes of the bundled trace (`openb:64`), or described in a TOML file (`docs/fleets.md`).

Links between real nodes are declared in a file of the same form, which has nothing but `[[links]]`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from fleetfold_contracts.ids import token
from fleetfold_contracts.inventory import (
    MAX_LABELS,
    ComputeCapability,
    DeviceType,
    Label,
    Link,
    LinkKind,
    Name,
    Node,
    Precision,
    Vendor,
)
from fleetfold_devices.catalogue import GIB, MODELS, Model
from fleetfold_devices.port import DevicesError
from fleetfold_devices.simulation.scripted_faults import FaultKind, ScriptedFault
from fleetfold_devices.simulation.simulated import PCIE_3_X16, SimulatedNode, linked_all_to_all, nth_device_id
from fleetfold_devices.simulation.trace import TraceNode, pick_nodes, trace_nodes

MAX_NODES = 100_000
MAX_DEVICES_PER_NODE = 64
NAME_CHARACTERS_MAX = 100

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Latency = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Memory = Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_NODES)]
Tick = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
Ticks = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
# One less than the wire takes: there is one of ours among them.
NodeLabels = Annotated[dict[Name, Label], msgspec.Meta(max_length=MAX_LABELS - 1)]


class FleetError(DevicesError):
    """A simulated fleet, or links of a real one, are described wrongly: where, and what is wrong and to be written."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


class DeviceLinks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the devices of a node are linked, each with each. Bandwidth is in gigabits a second."""

    kind: LinkKind
    bandwidth_gbps: Positive | None = None
    latency_us: Latency | None = None


class DeviceGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Devices of one model. What is given here overrides what is known of the model."""

    model: Name
    count: Count = 1
    device_name: Name | None = None
    vendor: Vendor | None = None
    device_type: DeviceType | None = None
    memory_gib: Memory | None = None
    memory_bandwidth_gbps: Positive | None = None
    compute_units: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    supports_fp64: bool | None = None
    supports_tensor_cores: bool | None = None
    compute_capability: ComputeCapability | None = None
    precisions: tuple[Precision, ...] | None = None
    max_power_watts: Annotated[float, msgspec.Meta(gt=0, le=100_000)] | None = None
    max_clock_mhz: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None


class NodeGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nodes that are alike. With a `count` they are called `<name>-0`, `<name>-1`, and so on."""

    name: str
    count: Count | None = None
    cpu_cores: Annotated[float, msgspec.Meta(gt=0, le=10_000)] = 32
    memory_gib: Memory = 256
    labels: NodeLabels = {}
    devices: tuple[DeviceGroup, ...] = ()
    device_links: DeviceLinks | None = None

    def node_ids(self) -> list[str]:
        """The ids of its nodes, in order."""
        return [self.name] if self.count is None else [f"{self.name}-{place}" for place in range(self.count)]


class NodeLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A link between two nodes, by their ids. Bandwidth is in gigabits a second."""

    ends: tuple[str, str]
    kind: LinkKind
    bandwidth_gbps: Positive | None = None
    latency_us: Latency | None = None


class DeviceFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong on a device, and at which of its samplings."""

    device: str
    kind: FaultKind
    at_tick: Tick
    for_ticks: Ticks | None = None
    every_ticks: Ticks | None = None
    code: Name | None = None
    meaning: Label | None = None


class Fleet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    nodes: Annotated[tuple[NodeGroup, ...], msgspec.Meta(min_length=1)]
    links: tuple[NodeLink, ...] = ()
    faults: tuple[DeviceFault, ...] = ()


class LinksFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file in which links between real nodes are declared."""

    links: tuple[NodeLink, ...] = ()


_TABLES: dict[str, type[msgspec.Struct]] = {
    "nodes": NodeGroup,
    "devices": DeviceGroup,
    "device_links": DeviceLinks,
    "links": NodeLink,
    "faults": DeviceFault,
}
_WITH_DURATION = (FaultKind.LOST, FaultKind.FLAPPING, FaultKind.HOT, FaultKind.WEDGED)
_KINDS_WITH: dict[str, tuple[FaultKind, ...]] = {
    "for_ticks": _WITH_DURATION,
    "every_ticks": (FaultKind.FLAPPING,),
    "code": (FaultKind.FAULT,),
    "meaning": (FaultKind.FAULT,),
}
"""The fields of a fault that mean something for some kinds alone."""
_File = TypeVar("_File", Fleet, LinksFile)

_OPENB = re.compile(r"openb:(.*)")
_INDEX = re.compile(r"\[[^]]*]")
_UNKNOWN_FIELD = re.compile(r"unknown field `(.+)`")
_MISSING_FIELD = re.compile(r"missing required field `(.+)`")


def load_fleet(spec: str, *, seed: int = 0) -> list[SimulatedNode]:
    """The simulated nodes that `spec` stands for: `openb:<count>`, or the path of a TOML file.

    All are in a boot named after the seed. Whoever starts them anew gives `node.boot_id` another value.

    Raises:
        FleetError: there is no such fleet. The message names the field, and what to write.
    """
    if traced := _OPENB.fullmatch(spec):
        return [_of_trace(node, seed) for node in pick_nodes(_node_count(traced[1]))]
    try:
        return _of_file(_read(Path(spec), Fleet), seed)
    except FleetError as error:
        raise FleetError(f"{spec}: {error.where}", error.problem) from None


def load_links(path: str) -> tuple[Link, ...]:
    """The links between nodes that a TOML file declares.

    Raises:
        FleetError: the file is none. The message names the field, and what to write.
    """
    try:
        links = _read(Path(path), LinksFile).links
        return tuple(_declared(link, f"links[{place}]") for place, link in enumerate(links))
    except FleetError as error:
        raise FleetError(f"{path}: {error.where}", error.problem) from None


def _declared(link: NodeLink, where: str) -> Link:
    for end in link.ends:
        if not _is_token(end):
            raise FleetError(f"{where}.ends", f"{end!r} cannot be a node's id; `fleetfold devices` shows the nodes")
    _refuse_loop(link, where)
    return _link(link)


def _refuse_loop(link: NodeLink, where: str) -> None:
    if link.ends[0] == link.ends[1]:
        raise FleetError(f"{where}.ends", "both are the same node; name two")


def _link(link: NodeLink) -> Link:
    return msgspec.convert(msgspec.structs.asdict(link), Link)


def _node_count(text: str) -> int:
    most = len(trace_nodes())
    if text.isdecimal() and 1 <= int(text) <= most:
        return int(text)
    raise FleetError(f"openb:{text}", f"write openb:1 to openb:{most}; a TOML file can describe a larger fleet")


def _of_trace(traced: TraceNode, seed: int) -> SimulatedNode:
    kind, bandwidth_gbps = PCIE_3_X16
    node = Node(
        node_id=traced.name,
        boot_id=_boot_id(seed),
        hostname=traced.name,
        cpu_milli=traced.cpu_milli,
        memory_bytes=traced.memory_bytes,
        labels={"simulated": "openb"},
    )
    links = linked_all_to_all(traced.name, traced.gpu_count, kind, bandwidth_gbps)
    return SimulatedNode(node, [MODELS[traced.model]] * traced.gpu_count, links=links, seed=seed)


def _boot_id(seed: int) -> str:
    return token(f"simulated-{seed}")


def _read(path: Path, kind: type[_File]) -> _File:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except OSError as error:
        instead = ", or openb:<count>" if kind is Fleet else ""
        raise FleetError("the file", f"{error.strerror}; give the path of a TOML file{instead}") from None
    except msgspec.ValidationError as error:
        raise _field_error(str(error), kind) from None
    except ValueError as error:
        raise FleetError("the file", f"is not TOML: {error}") from None


def _field_error(message: str, kind: type[Fleet | LinksFile]) -> FleetError:
    problem, _, at = message.partition(" - at ")
    path = at.strip("`").removeprefix("$").removeprefix(".")
    if missing := _MISSING_FIELD.search(problem):
        return FleetError(f"{path}.{missing[1]}".lstrip("."), "is missing")
    if unknown := _UNKNOWN_FIELD.search(problem):
        table = _TABLES.get(_INDEX.sub("", path).rpartition(".")[2], kind)
        fields = ", ".join(table.__struct_fields__)
        return FleetError(f"{path}.{unknown[1]}".lstrip("."), f"there is no such field; there are {fields}")
    return FleetError(path or "the file", problem[:1].lower() + problem[1:])


def _of_file(fleet: Fleet, seed: int) -> list[SimulatedNode]:
    _check_names(fleet)
    node_links = _node_links(fleet)
    models = [list(_models(group, f"nodes[{place}].devices")) for place, group in enumerate(fleet.nodes)]
    faults = _faults(fleet, [len(of_group) for of_group in models])
    return [
        _described(group, node_id, of_group, node_links[node_id], faults[node_id], seed)
        for group, of_group in zip(fleet.nodes, models, strict=True)
        for node_id in group.node_ids()
    ]


def _check_names(fleet: Fleet) -> None:
    for place, group in enumerate(fleet.nodes):
        if len(group.name) > NAME_CHARACTERS_MAX or not _is_token(group.name):
            allowed = (
                f"at most {NAME_CHARACTERS_MAX} letters, digits, '-' and '_', the first and last neither of these two"
            )
            raise FleetError(f"nodes[{place}].name", f"{group.name!r} cannot name a node; use {allowed}")
    total = sum(group.count or 1 for group in fleet.nodes)
    if total > MAX_NODES:
        raise FleetError("nodes", f"{total} are too many; at most {MAX_NODES} are taken")
    uses = Counter(node_id for group in fleet.nodes for node_id in group.node_ids())
    for place, group in enumerate(fleet.nodes):
        if twice := next((node_id for node_id in group.node_ids() if uses[node_id] > 1), None):
            raise FleetError(f"nodes[{place}].name", f"two nodes would be called {twice!r}; choose another name")


def _is_token(text: str) -> bool:
    try:
        return token(text) == text
    except ValueError:
        return False


def _node_links(fleet: Fleet) -> defaultdict[str, tuple[Link, ...]]:
    """By node: a link runs both ways, so that one of its nodes tells of it, the first."""
    known = {node_id for group in fleet.nodes for node_id in group.node_ids()}
    links: defaultdict[str, tuple[Link, ...]] = defaultdict(tuple)
    for place, link in enumerate(fleet.links):
        first, second = link.ends
        if strange := {first, second} - known:
            raise FleetError(f"links[{place}].ends", f"there is no node {min(strange)!r}; there is {min(known)!r}")
        _refuse_loop(link, f"links[{place}]")
        links[first] += (_link(link),)
    return links


def _faults(fleet: Fleet, device_counts: list[int]) -> defaultdict[str, dict[str, list[ScriptedFault]]]:
    """By node, and by device."""
    faults: defaultdict[str, dict[str, list[ScriptedFault]]] = defaultdict(dict)
    if not fleet.faults:
        return faults
    node_of = {
        nth_device_id(node_id, place): node_id
        for group, device_count in zip(fleet.nodes, device_counts, strict=True)
        for node_id in group.node_ids()
        for place in range(device_count)
    }
    for place, fault in enumerate(fleet.faults):
        if fault.device not in node_of:
            there_is = f"there is {min(node_of)!r}" if node_of else "the fleet has none"
            raise FleetError(f"faults[{place}].device", f"there is no device {fault.device!r}; {there_is}")
        faults[node_of[fault.device]].setdefault(fault.device, []).append(_scripted(fault, f"faults[{place}]"))
    return faults


def _scripted(fault: DeviceFault, where: str) -> ScriptedFault:
    given = {field: value for field, value in msgspec.structs.asdict(fault).items() if value is not None}
    for field, kinds in _KINDS_WITH.items():
        if field in given and fault.kind not in kinds:
            raise FleetError(f"{where}.{field}", f"means nothing here; it is for {', '.join(kinds)}")
    if fault.kind is FaultKind.FAULT and fault.code is None:
        raise FleetError(f"{where}.code", 'is missing; write what the device reports, such as "XID 79"')
    del given["device"]
    return ScriptedFault(**given)


def _models(group: NodeGroup, where: str) -> Iterator[Model]:
    if sum(devices.count for devices in group.devices) > MAX_DEVICES_PER_NODE:
        raise FleetError(where, f"are too many; a node has at most {MAX_DEVICES_PER_NODE}")
    for place, devices in enumerate(group.devices):
        yield from [_model(devices, f"{where}[{place}]")] * devices.count


def _model(devices: DeviceGroup, where: str) -> Model:
    known = MODELS.get(devices.model)
    fields: dict[str, Any] = asdict(known) if known else {"name": devices.model, "device_name": devices.model}
    fields |= _given(devices)
    for field, needed in (("vendor", "vendor"), ("device_type", "device_type"), ("memory_gib", "memory_bytes")):
        if needed not in fields:
            raise FleetError(
                f"{where}.{field}",
                f"is missing; vendor, device_type and memory_gib can be left out for {', '.join(MODELS)} alone",
            )
    return Model(**fields)


def _given(devices: DeviceGroup) -> dict[str, Any]:
    fields = {field: value for field, value in msgspec.structs.asdict(devices).items() if value is not None}
    del fields["model"], fields["count"]
    if "memory_gib" in fields:
        fields["memory_bytes"] = int(fields.pop("memory_gib") * GIB)
    return fields


def _described(
    group: NodeGroup,
    node_id: str,
    models: list[Model],
    node_links: tuple[Link, ...],
    faults: Mapping[str, list[ScriptedFault]],
    seed: int,
) -> SimulatedNode:
    node = Node(
        node_id=node_id,
        boot_id=_boot_id(seed),
        hostname=node_id,
        cpu_milli=round(group.cpu_cores * 1000),
        memory_bytes=int(group.memory_gib * GIB),
        labels={"simulated": "file", **group.labels},
    )
    among = group.device_links
    links = linked_all_to_all(node_id, len(models), among.kind, among.bandwidth_gbps, among.latency_us) if among else ()
    return SimulatedNode(node, models, links=links + node_links, seed=seed, faults=faults)
