"""Fleetfold from another program: place a workload, watch what happens, work on what is handed out."""

from fleetfold_client.errors import (
    FleetError,
    NoAnswerError,
    RejectedError,
    ServiceError,
    UnreachableError,
)
from fleetfold_client.fleet import Fleet, Happened
from fleetfold_client.worker import Worker, WorkItem

__all__ = [
    "Fleet",
    "FleetError",
    "Happened",
    "NoAnswerError",
    "RejectedError",
    "ServiceError",
    "UnreachableError",
    "WorkItem",
    "Worker",
]
