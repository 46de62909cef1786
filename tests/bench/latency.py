"""How long a command takes until it is decided, beside a bare question and answer through the same server."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from nats.aio.client import Client
from tests.bench import echo, raw
from tests.bench.measure import Effort, Report, Series, percentile, repeated_s, take_turns
from tests.support.waiting import eventually

from fleetfold_bus.nats import NatsBus
from fleetfold_cli.stack.stack import PLACEMENT_SOLVER, STATE_PROJECTOR, ServiceSpec, Stack, telemetry_agent
from fleetfold_client import Fleet, FleetError
from fleetfold_contracts import codec
from fleetfold_contracts.commands import Place
from fleetfold_contracts.events import PlacementDecided
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.workloads import Shard, Workload

ECHO = ServiceSpec("echo", "tests.bench.echo")
