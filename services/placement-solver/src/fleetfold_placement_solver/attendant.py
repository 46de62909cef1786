"""The attendant: looks at the state when something changed or is due, and says what the solver says by itself."""

import asyncio
from datetime import datetime, timedelta

from fleetfold_bus.port import BusError
from fleetfold_contracts.ids import DeviceId
from fleetfold_core.fleet import Fleets
from fleetfold_core.heal import too_hot
from fleetfold_core.state import State
from fleetfold_placement_solver.appending import PoolLog
from fleetfold_placement_solver.attend import Look, Said, attend
from fleetfold_placement_solver.settings import SolverSettings
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.run import Context
from fleetfold_runtime.stopping import sleep_unless

BREATHE_S = 0.02
"""Between two looks, so that a burst of changes is looked at once."""
LOOK_AGAIN_AFTER_S = 2.0
"""Whoever waits for what telemetry alone tells (memory of others, heat) is looked at so often."""
TRY_AGAIN_AFTER_S = 0.5

_log = get_logger()


class Attendant:
    """Looks at what waits, what is broken and what is drained."""

    def __init__(self, context: Context[SolverSettings], live: LiveState, log: PoolLog, fleets: Fleets) -> None:
        """`live` is the state that it looks at, and `fleets` are that state's."""
        self._stop = context.stop
        self._settings = context.settings
        self._live = live
        self._fleets = fleets
        self._pool_log = log
        self._device_count = 0
        self._hot_since: dict[DeviceId, datetime] = {}

    async def run(self) -> None:
        """Look whenever something changed or is due, until told to stop."""
        seen: object = None
        due: datetime | None = None
        while not await sleep_unless(self._stop, BREATHE_S):
            now = self._live.server_now()
            if now is not None and (_what_matters(self._live.state) != seen or (due is not None and due <= now)):
                seen = _what_matters(self._live.state)
                if not await self._looked(now):
                    seen = None
                due = self._next_due(now)
            await self._live.moved_on(within_s=_seconds_until(due, self._live.server_now()))

    async def _looked(self, now: datetime) -> bool:
        """Look once. False: something did not come about, so look again."""
        try:
            return await self._say_all(self._look(now))
        except BusError as error:
            _log.info("what is to be said waits for the server", reason=str(error))
        except Exception:  # noqa: BLE001 - a fault of ours must not stop the commands
            _log.exception("a look at the state failed")
        await sleep_unless(self._stop, TRY_AGAIN_AFTER_S)
        return False

    def _look(self, now: datetime) -> Look:
        grew = len(self._live.state.devices) > self._device_count
        self._device_count = len(self._live.state.devices)
        return Look(now=now, grace_s=self._settings.grace_s, hot=self._hot(now), fleet_grew=grew)

    async def _say_all(self, look: Look) -> bool:
        all_came_about = True
        looking = attend(self._live.state, look, self._fleets)
        while not self._stop.is_set():
            async with self._pool_log.turn:
                try:
                    said = next(looking)
                except StopIteration:
                    break
                if said is not None:
                    all_came_about &= await self._say(said)
            await asyncio.sleep(0)
        return all_came_about

    async def _say(self, said: Said) -> bool:
        came_about = await self._pool_log.append(said.event, said.id, said.cause)
        if came_about:
            _log.info(type(said.event).__name__, id=said.id)
        return came_about

    def _hot(self, now: datetime) -> dict[DeviceId, str]:
        """The devices that have been too hot for the time of grace."""
        limit_celsius = self._settings.too_hot_celsius
        if limit_celsius is None:
            return {}
        hot = too_hot(self._live.state, limit_celsius)
        self._hot_since = {device_id: self._hot_since.get(device_id, now) for device_id in hot}
        latest = now - timedelta(seconds=self._settings.grace_s)
        return {device_id: words for device_id, words in hot.items() if self._hot_since[device_id] <= latest}

    def _next_due(self, now: datetime) -> datetime | None:
        state = self._live.state
        grace = timedelta(seconds=self._settings.grace_s)
        moments = [since + grace for since in state.outages.values()]
        moments += [entry.deadline for entry in state.queue.values() if entry.deadline is not None]
        if state.queue or state.degraded or self._settings.too_hot_celsius is not None:
            moments.append(now + timedelta(seconds=LOOK_AGAIN_AFTER_S))
        return min((moment for moment in moments if moment > now), default=None)


def _what_matters(state: State) -> object:
    """What it takes to make a look worth while: another value of this."""
    return dict(state.room_positions), tuple(state.outages), tuple(state.drains), tuple(state.degraded)


def _seconds_until(due: datetime | None, now: datetime | None) -> float | None:
    return None if due is None or now is None else max(0.0, (due - now).total_seconds())
