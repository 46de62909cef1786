"""What is to be decided next on a work: who gets a batch, and who gets what was meant for another. Pure.

A device is handed so much at once that it is through before half of what the whole has to do is done, by the speeds
that its workers showed: batches shrink towards the end, down to one item, and a slow device holds up nobody by more.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DeviceId
from fleetfold_core import runs as run_lists
from fleetfold_core.distribute import distribute_by_capacity
from fleetfold_core.select import is_up, select
from fleetfold_core.state import Lane, Run, State, WorkState

Decision = evt.WorkDispatched | evt.WorkReassigned | evt.WorkCompleted

BATCHES_A_DECISION = 500
RUNS_A_DECISION = 5000
"""More would make an event too large: the rest is the next decision's."""


def next_decision(state: State, work: WorkState, now: datetime) -> Decision | None:
    """What is to be decided on a work that is under way, `now` being the server's time. None: wait for news."""
    if work.completed:
        return None
    if not work.waiting and work.drawn:
        return _completion(work)
    team = Team(state, work, now)
    return _rescue(state, team) or _evened_out(team) or _handed_out(team)


def failed_for_good(work: WorkState) -> list[int]:
    """The items that have been tried often enough."""
    return [item for item, trouble in work.troubles.items() if trouble.waits and len(trouble.tries) >= work.max_tries]


def taken_back(
    state: State,
    work: WorkState,
    device_id: DeviceId,
    batches: Iterable[int],
    now: datetime,
    *,
    reason: str,
    silent: bool,
) -> evt.WorkReassigned:
    """The decision that what was found unstarted in a device's queue goes to others, as far as there are any.

    `silent`: nobody works for the device, so that all that is pending for it goes too.
    """
    team = Team(state, work, now, without=device_id)
    lane = work.lanes[device_id]
    loose = [run for number in batches if not lane.handed[number].again for run in lane.handed[number].runs]
    moved = [*loose, *lane.pending] if silent else loose
    return _reassignment(team, device_id, tuple(batches), moved, reason, silent=silent)


class Team:
    """The devices that take part in a work, with their speeds in items a second."""

    def __init__(self, state: State, work: WorkState, now: datetime, without: DeviceId | None = None) -> None:
        self.work = work
        self.now = now
        chosen = (device for device in select(state, work.to) if device != without)
        self.lanes = {device: lane for device in chosen if not (lane := work.lanes.get(device, Lane())).silent}
        speeds = {device: measured(lane) for device, lane in self.lanes.items()}
        known = [speed for speed in speeds.values() if speed is not None]
        self._usual = sum(known) / len(known) if known else 1.0
        self.speeds = {device: self.speed(lane) for device, lane in self.lanes.items()}

    def speed(self, lane: Lane) -> float:
        """What a device showed, or else what is usual; less where it has held what it holds for longer than that."""
        shown = measured(lane)
        speed = self._usual if shown is None else shown
        if not lane.handed:
            return speed
        held_s = (self.now - next(iter(lane.handed.values())).since).total_seconds()
        return min(speed, lane.handed_count / held_s) if held_s > 0 else speed

    def room(self, device: DeviceId) -> int:
        """How many more items may be meant for a device."""
        limit, lane = self.work.max_per_device, self.lanes[device]
        return (
            self.work.item_count
            if limit is None
            else max(0, limit - lane.done - lane.handed_count - lane.pending_count)
        )


def measured(lane: Lane) -> float | None:
    """Items a second, as its workers say. None: they have said nothing yet."""
    return (lane.done + lane.failed) / lane.seconds if lane.seconds > 0 else None


def _completion(work: WorkState) -> evt.WorkCompleted:
    return evt.WorkCompleted(
        work_id=work.work_id,
        number=work.decisions + 1,
        done=work.done,
        failed=work.failed,
        unassigned=work.unassigned,
        cancelled=work.cancelled,
        redone=work.redone,
        devices=tuple(
            evt.DeviceShare(device_id=device, done=lane.done, failed=lane.failed, seconds=lane.seconds)
            for device, lane in work.lanes.items()
            if lane.done or lane.failed
        ),
    )


def _rescue(state: State, team: Team) -> evt.WorkReassigned | None:
    """What is meant for a device that takes no part goes to others; what a dead one was handed goes too."""
    if not team.lanes and not team.work.is_cancelled:
        return None
    for device_id, lane in team.work.lanes.items():
        if device_id in team.lanes:
            continue
        device = state.devices.get(device_id)
        dead = device is None or not is_up(state, device)
        void = tuple(lane.handed) if dead else ()
        if not lane.pending and not void:
            continue
        loose = [run for number in void if not lane.handed[number].again for run in lane.handed[number].runs]
        reason = "the device is gone" if dead else "nobody works for it" if lane.silent else "it takes nothing new"
        decision = _reassignment(team, device_id, void, [*loose, *lane.pending], reason, silent=False)
        if decision.assignments or void:
            return decision
    return None


def _reassignment(
    team: Team, device_id: DeviceId, void: tuple[int, ...], moved: list[Run], reason: str, *, silent: bool
) -> evt.WorkReassigned:
    moved = moved[:RUNS_A_DECISION]
    counts = _shares(team, run_lists.size(moved))
    assignments: list[evt.Assignment] = []
    for other, count in counts.items():
        given = run_lists.first_of(moved, count)
        moved = run_lists.minus(moved, given)
        assignments.append(evt.Assignment(device_id=other, runs=tuple(given)))
    return evt.WorkReassigned(
        work_id=team.work.work_id,
        number=team.work.decisions + 1,
        device_id=device_id,
        reason=reason,
        batches=void,
        assignments=() if team.work.is_cancelled else tuple(assignments),
        silent=silent,
    )


def _shares(team: Team, item_count: int) -> dict[DeviceId, int]:
    """How many of some items each device gets: by speed, as far as there is room."""
    rooms = {device: team.room(device) for device in team.lanes}
    spread = distribute_by_capacity(item_count, {device: team.speeds[device] for device in team.lanes})
    counts = {device: min(run_lists.size(runs), rooms[device]) for device, runs in spread.runs.items()}
    missing = item_count - sum(counts.values())
    for device, room in rooms.items():
        more = min(missing, room - counts.get(device, 0))
        counts[device] = counts.get(device, 0) + more
        missing -= more
    return {device: count for device, count in counts.items() if count}


def _evened_out(team: Team) -> evt.WorkReassigned | None:
    """A device with nothing left takes over from the end of what is pending for the slowest: both end at once then."""
    idle = [device for device in team.lanes if _is_idle(team, device)]
    busy = [device for device, lane in team.lanes.items() if lane.pending_count]
    if not idle or not busy:
        return None
    slowest = max(busy, key=lambda device: (_left_s(team, device), device))
    first = min(idle, key=lambda device: (_left_s(team, device, 1), device))
    if _left_s(team, first, 1) >= _left_s(team, slowest):
        return None
    lane, other = team.lanes[slowest], team.lanes[first]
    total = lane.pending_count + lane.handed_count
    pace, other_pace = team.speeds[slowest], team.speeds[first]
    even = int((total * other_pace - other.handed_count * pace) / (pace + other_pace))
    count = min(max(1, even), lane.pending_count, team.room(first))
    runs = tuple(run_lists.last_of(lane.pending, count)[-RUNS_A_DECISION:])
    return evt.WorkReassigned(
        work_id=team.work.work_id,
        number=team.work.decisions + 1,
        device_id=slowest,
        reason=f"{first} is through before it",
        assignments=(evt.Assignment(device_id=first, runs=runs),),
    )


def _is_idle(team: Team, device: DeviceId) -> bool:
    lane = team.lanes[device]
    unproven = lane.handed and not (lane.done or lane.failed)
    return not lane.pending_count and not unproven and team.room(device) > 0


def _left_s(team: Team, device: DeviceId, more: int = 0) -> float:
    """How long a device has to do, with `more` items."""
    lane = team.lanes[device]
    return (lane.pending_count + lane.handed_count + more) / team.speeds[device]


def _handed_out(team: Team) -> evt.WorkDispatched | None:
    handing = _Handing(team)
    handing.retries()
    for device in team.lanes:
        handing.fill(device)
    if not handing.batches:
        return None
    work = team.work
    return evt.WorkDispatched(work_id=work.work_id, number=work.decisions + 1, batches=tuple(handing.batches))


class _Handing:
    """Batches for one decision."""

    def __init__(self, team: Team) -> None:
        self.batches: list[evt.HandOut] = []
        self._team = team
        self._work = team.work
        self._added: dict[DeviceId, int] = {}
        self._total_speed = sum(team.speeds.values())

    def retries(self) -> None:
        """What has failed and is due again goes to the least busy device that has not failed it, else to any."""
        due: dict[DeviceId, list[int]] = {}
        for item, trouble in self._work.troubles.items():
            if trouble.waits and trouble.due <= self._team.now and len(trouble.tries) < self._work.max_tries:
                device = self._retrier({one.device_id for one in trouble.tries}, due)
                if device is not None:
                    due.setdefault(device, []).append(item)
        for device, items in due.items():
            size = self._size(device)
            for start in range(0, len(items), size):
                self._add(device, run_lists.of_numbers(sorted(items[start : start + size])), again=True)

    def _retrier(self, failed_on: set[DeviceId], due: Mapping[DeviceId, list[int]]) -> DeviceId | None:
        free = {
            one: min(self._open(one) * self._size(one), self._team.room(one)) - len(due.get(one, ()))
            for one in self._team.lanes
        }
        able = [device for device, places in free.items() if places > 0]
        untried = [device for device in able if device not in failed_on]
        return max(untried or able, key=lambda device: (free[device], self._team.speeds[device]), default=None)

    def fill(self, device: DeviceId) -> None:
        """Hand a device of what is pending for it as much as it should hold."""
        lane = self._team.lanes[device]
        pending, allowed, size = lane.pending, self._allowed(device), self._size(device)
        held = lane.handed_count
        while pending and held + size <= allowed and self._open(device) > 0:
            runs = run_lists.first_of(pending, size)
            pending = pending[len(runs) - 1 :]
            pending = run_lists.minus(pending[:1], runs[-1:]) + pending[1:]
            held += run_lists.size(runs)
            self._add(device, runs, again=False)

    def _size(self, device: DeviceId) -> int:
        return min(self._work.batch_size, -(-self._allowed(device) // self._work.batches_ahead))

    def _allowed(self, device: DeviceId) -> int:
        """How many items a device may hold."""
        lane = self._team.lanes[device]
        if not (lane.done or lane.failed):
            return 1  # what it can do is not known yet
        share = self._work.waiting * self._team.speeds[device] / self._total_speed
        return max(1, int(share / 2))

    def _open(self, device: DeviceId) -> int:
        """How many more batches a device may hold."""
        if len(self.batches) >= BATCHES_A_DECISION:
            return 0
        return self._work.batches_ahead - len(self._team.lanes[device].handed) - self._added.get(device, 0)

    def _add(self, device: DeviceId, runs: list[Run], *, again: bool) -> None:
        number = self._team.lanes[device].next_batch + self._added.get(device, 0)
        self._added[device] = self._added.get(device, 0) + 1
        self.batches.append(evt.HandOut(device_id=device, batch=number, runs=tuple(runs), again=again))
