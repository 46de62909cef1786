"""However a fleet is asked for: the pages together are exactly the devices that hold what was asked, in order."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fleetfold_contracts.answers import DeviceOrder, DevicesQuery, DeviceStatus, DeviceView
from fleetfold_contracts.inventory import DeviceType, Vendor
from fleetfold_core.score import score_value
from fleetfold_core.state import State
from fleetfold_core.views.devices import DeviceIds, devices
from tests.property.core_strategies import Cluster, clusters, examples, node_ids, sizes

queries = st.builds(
    DevicesQuery,
    vendor=st.none() | st.sampled_from(Vendor),
    device_type=st.none() | st.sampled_from(DeviceType),
    node_id=st.none() | node_ids,
    status=st.none() | st.sampled_from(DeviceStatus),
    min_free_bytes=st.just(0) | sizes,
    sort=st.sampled_from(DeviceOrder),
    limit=st.integers(1, 3),
)


@examples(100)
@given(cluster=clusters(), query=queries)
def test_pages_together_are_what_was_asked_for(cluster: Cluster, query: DevicesQuery) -> None:
    state = cluster.state()
    shown = all_pages(state, query)
    by_score = query.sort is DeviceOrder.SCORE
    assert shown == sorted(shown, key=lambda view: (-(view.score or 0) if by_score else 0, id_of(view)))
    wanted = [view for view in all_pages(state, DevicesQuery()) if holds(view, query)]
    assert sorted(map(id_of, shown)) == list(map(id_of, wanted))
    assert all(view.score == score_value(state.devices[id_of(view)]) for view in shown)


def all_pages(state: State, query: DevicesQuery) -> list[DeviceView]:
    ids = DeviceIds()
    page = devices(state, query, ids)
    shown = list(page.devices)
    while page.next_after is not None:
        assert len(page.devices) == query.limit
        page = devices(state, replace(query, after=page.next_after), ids)
        shown += page.devices
    return shown


def holds(view: DeviceView, query: DevicesQuery) -> bool:
    return (
        query.vendor in (None, view.capabilities.vendor)
        and query.device_type in (None, view.capabilities.device_type)
        and query.node_id in (None, view.node_id)
        and query.status in (None, view.status)
        and view.free_bytes >= query.min_free_bytes
    )


def id_of(view: DeviceView) -> str:
    return view.capabilities.device_id
