"""What every service counts, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS_FOLDED = Counter("fleetfold_events_folded", "Events of the log that were folded")
SAMPLES_FOLDED = Counter("fleetfold_node_samples_folded", "Node samples that were folded")
LOG_POSITION = Gauge("fleetfold_log_position", "Sequence of the newest event that is folded")
COMMANDS_DONE = Counter("fleetfold_commands_done", "Commands by their outcome", ["outcome"])
CONFLICTS = Counter("fleetfold_conflicts", "Appends that lost against another writer and were decided anew")
DECISION_SECONDS = Histogram(
    "fleetfold_decision_seconds",
    "From a command's arrival at a service to its outcome in the log",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
