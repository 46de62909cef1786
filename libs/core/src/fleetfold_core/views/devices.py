"""Devices: those that a question asks for, in the order that it asks for."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest

from msgspec.structs import replace

from fleetfold_contracts.answers import DeviceOrder, DevicesAnswer, DevicesQuery, DeviceView
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.ids import DeviceId
from fleetfold_core.score import score_value
from fleetfold_core.state import DeviceState, State
from fleetfold_core.status import status_of
from fleetfold_core.views._fitting import WHOLE_BYTES, fitting
from fleetfold_core.views._merging import merged

PAGE_DEVICES = 2000
"""No message holds more."""

Rank = tuple[float, DeviceId]
"""The negated score, and the id."""


class DeviceIds:
    """The ids of a state's devices in their order. Sorted anew only when devices have come: none ever goes.

    From a share of a state they may, but that is another dictionary then.
    """

    def __init__(self) -> None:
        self._devices: dict[DeviceId, DeviceState] = {}
        self._ordered: list[DeviceId] = []

    def behind(self, state: State, after: str | None) -> Iterator[DeviceId]:
        """The ids behind `after`; all of them without it."""
        if self._devices is not state.devices or len(self._ordered) != len(state.devices):
            self._devices, self._ordered = state.devices, sorted(state.devices)
        first = bisect_right(self._ordered, after) if after is not None else 0
        return (self._ordered[index] for index in range(first, len(self._ordered)))


def devices(state: State, query: DevicesQuery, ids: DeviceIds | None = None) -> DevicesAnswer:
    """The devices that a query asks for. Who asks often keeps `ids`, so that they need not be sorted each time.

    Raises:
        ContractError: `after` is no place in the order asked for.
    """
    by_score = query.sort is DeviceOrder.SCORE
    asked = _by_score(state, query) if by_score else _by_id(state, query, ids or DeviceIds())
    return _page(state.position, (view_of(state, device) for device in asked), query)


def merged_devices(parts: Sequence[DevicesAnswer], query: DevicesQuery, silent: tuple[str, ...] = ()) -> DevicesAnswer:
    """The devices that a query asks for, of answers to it that have no device in common.

    `silent`: the shares of the fleet that are not among them.
    """
    if len(parts) == 1:
        return replace(parts[0], silent_shares=silent)
    lists = [(part.devices, part.next_after is not None) for part in parts]
    views, more = merged(lists, key=_rank_of_view if query.sort is DeviceOrder.SCORE else _id_of_view)
    page = _page(min(part.position for part in parts), views, query, more=more)
    return replace(page, silent_shares=silent)


def view_of(state: State, device: DeviceState) -> DeviceView:
    """A device as it is shown."""
    return DeviceView(
        node_id=device.node_id,
        capabilities=device.capabilities,
        status=status_of(state, device),
        pool=state.pool_of(device),
        sample=device.sample,
        score=score_value(device),
        lost=device.lost,
        fault=device.fault,
        cordoned=device.cordoned,
        free_bytes=device.free_bytes,
        reserved_bytes=device.reserved_bytes,
        reserved_milli=device.reserved_milli,
        workloads=tuple(device.shards),
    )


def _by_id(state: State, query: DevicesQuery, ids: DeviceIds) -> Iterable[DeviceState]:
    behind = (state.devices[device_id] for device_id in ids.behind(state, query.after))
    return (device for device in behind if _asked_for(state, device, query))


def _by_score(state: State, query: DevicesQuery) -> Iterable[DeviceState]:
    ranks = (
        (-score_value(device), device_id)
        for device_id, device in state.devices.items()
        if _asked_for(state, device, query)
    )
    if query.after is not None:
        after = _rank(query.after)
        ranks = (rank for rank in ranks if rank > after)
    # A page and one more, which tells that there are more: not all of a large fleet is sorted for it.
    return (state.devices[device_id] for _, device_id in nsmallest(PAGE_DEVICES + 1, ranks))


def _page(position: int, views: Iterable[DeviceView], query: DevicesQuery, *, more: bool = False) -> DevicesAnswer:
    """As many of the views as are asked for and fit. `more`: there are some behind them."""
    shown, cut = fitting(views, WHOLE_BYTES, min(query.limit or PAGE_DEVICES, PAGE_DEVICES))
    next_after = _place(shown[-1], query) if cut or more else None
    return DevicesAnswer(position=position, devices=shown, next_after=next_after)


def _id_of_view(view: DeviceView) -> DeviceId:
    return view.capabilities.device_id


def _rank_of_view(view: DeviceView) -> Rank:
    return -(view.score or 0.0), view.capabilities.device_id


def _place(view: DeviceView, query: DevicesQuery) -> str:
    device_id = view.capabilities.device_id
    return f"{view.score!r}:{device_id}" if query.sort is DeviceOrder.SCORE else device_id


def _rank(place: str) -> Rank:
    score, _, device_id = place.partition(":")
    try:
        return -float(score), device_id
    except ValueError:
        reason = f"{place!r} is no `next_after` of an answer sorted by score: leave it out to begin anew"
        raise ContractError(reason, "$.after") from None


def _asked_for(state: State, device: DeviceState, query: DevicesQuery) -> bool:
    capabilities = device.capabilities
    return (
        query.vendor in (None, capabilities.vendor)
        and query.device_type in (None, capabilities.device_type)
        and query.node_id in (None, device.node_id)
        and device.free_bytes >= query.min_free_bytes
        and query.pool in (None, state.pool_of(device))
        and (query.status is None or query.status is status_of(state, device))
        and (not query.labels or _labelled(state, device, query.labels))
    )


def _labelled(state: State, device: DeviceState, wanted: dict[str, str]) -> bool:
    labels = state.nodes[device.node_id].node.labels | device.capabilities.labels
    return wanted.items() <= labels.items()
