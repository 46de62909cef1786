"""The fleet's metrics: nodes, placements, work, and how far the projector is behind the log."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from fleetfold_contracts.answers import StateAnswer
from fleetfold_contracts.events import Liveness


def families(state: StateAnswer, log_position: int) -> Iterator[Metric]:
    """Every metric. `log_position` is that of the newest event of the log."""
    summary = state.summary
    yield GaugeMetricFamily("fleetfold_devices", "Devices that are known", value=summary.device_count)
    yield _nodes(state)
    yield GaugeMetricFamily("fleetfold_placements", "Workloads that sit on devices", value=summary.placement_count)
    yield CounterMetricFamily(
        "fleetfold_placements_refused", "Decisions that a workload fits nowhere", value=summary.refused_count
    )
    yield CounterMetricFamily(
        "fleetfold_commands_rejected", "Commands that made no sense", value=summary.rejected_count
    )
    yield CounterMetricFamily(
        "fleetfold_events_unknown", "Events that the projector cannot read", value=summary.unknown_event_count
    )
    yield _work(state)
    yield GaugeMetricFamily(
        "fleetfold_projector_lag_events",
        "Events of the log that the projector has not folded",
        value=max(0, log_position - state.position),
    )


def _nodes(state: StateAnswer) -> GaugeMetricFamily:
    family = GaugeMetricFamily("fleetfold_nodes", "Nodes by whether they are heard", labels=("liveness",))
    counts = Counter(node.liveness for node in state.nodes)
    for liveness in Liveness:
        family.add_metric((liveness.value,), counts[liveness])
    return family


def _work(state: StateAnswer) -> GaugeMetricFamily:
    family = GaugeMetricFamily("fleetfold_work_items", "Items of the works that are known", labels=("state",))
    for name in ("waiting", "done", "failed", "unassigned"):
        family.add_metric((name,), sum(getattr(work, name) for work in state.works))
    return family
