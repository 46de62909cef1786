"""Works under a simulated clock: the planner, asked as the distributor asks it, and workers that take as long as told.

There is no bus and no process: what is decided is folded, what is handed out arrives, what is worked on is told of.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from heapq import heappop, heappush
from itertools import count

from fleetfold_contracts import events as evt
from fleetfold_contracts.commands import Distribute
from fleetfold_core import runs
from fleetfold_core.fold import fold
from fleetfold_core.handing import failed_for_good, next_decision
from fleetfold_core.state import At, State, WorkState
from fleetfold_distributor.plan import plan_work
from tests.support.examples import a_device, a_node
from tests.support.story import START

LOOK_EVERY_S = 0.25
"""How often works are looked at when nothing happens, as the distributor does."""
ROUND_S = 0.01
"""How long a batch takes from its decision into a worker's hands."""
MOST_DECISIONS_AT_ONCE = 10_000


class Simulation:
    """Devices `d0`, `d1`, … of one node, each with one worker."""

    def __init__(self, item_s: Mapping[str, float], fails: Callable[[str, int], bool] = lambda _, __: False) -> None:
        """`item_s`: how long an item takes on each device. `fails`: whether an item fails on a device."""
        self.state = State()
        self.now_s = 0.0
        self.done: Counter[int] = Counter()
        """How often each item was worked on without failing."""
        self.handed: dict[tuple[str, int], list[int]] = defaultdict(list)
        """Places of items in what was said to be meant for a device, in the order in which they were handed out.

        By the device and what was said to it last of the item. What had failed before is left out.
        """
        self._item_s = item_s
        self._fails = fails
        self._up = set(item_s)
        self._held: dict[str, tuple[int, evt.HandOut]] = {}
        """The batch in each worker's hands, with a number of its own for each time that it is begun."""
        self._queues: dict[str, deque[evt.HandOut]] = defaultdict(deque)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._said = count()
        self._meant: dict[tuple[str, int], tuple[int, int]] = {}
        """Of a device and an item: what was said last, and the item's place in it."""
        self._fold(evt.NodeJoined(node=a_node("n")))
        for device in item_s:
            self._fold(evt.DeviceRegistered(node_id="n", capabilities=a_device(device)))

    @property
    def work(self) -> WorkState:
        """The work as it stands."""
        return self.state.works["w"]

    def at(self, after_s: float, happens: Callable[[], None]) -> None:
        """Let something happen so long from now."""
        heappush(self._agenda, (self.now_s + after_s, next(self._order), happens))

    def lose(self, device: str) -> None:
        """A device is gone with its worker. What this one held lies in the queue again."""
        self._up.discard(device)
        if device in self._held:
            self._queues[device].appendleft(self._held.pop(device)[1])
        self._fold(evt.DeviceLost(node_id="n", device_id=device))

    def regain(self, device: str) -> None:
        """It is back, and its worker looks into its queue."""
        self._up.add(device)
        self._fold(evt.DeviceRegistered(node_id="n", capabilities=a_device(device)))
        self._begin(device)

    def cordon(self, device: str) -> None:
        """A device takes nothing new; its worker goes on with what it was handed."""
        self._fold(evt.DeviceCordoned(pool="default", device_id=device))

    def uncordon(self, device: str) -> None:
        """It takes new items again."""
        self._fold(evt.DeviceUncordoned(pool="default", device_id=device))

    def run(self, command: Distribute, *, within_s: float) -> float:
        """Do a work to its end. Gives how long it took, in seconds."""
        planned = plan_work(self.state, command, "w")
        self._fold(planned)
        self._mean(planned.assignments)
        self._look()
        while not self.work.completed:
            self.now_s, _, happens = heappop(self._agenda)
            assert self.now_s <= within_s, f"{self.work.waiting} items wait still after {self.now_s} s"
            happens()
            self._decide()
        assert self.state.parked == [], "what is decided makes sense"
        return self.now_s

    def _fold(self, event: evt.Event) -> None:
        time = START + timedelta(seconds=self.now_s)
        fold(self.state, event, At(sequence=self.state.position + 1, time=time))

    def _look(self) -> None:
        self._decide()
        self.at(LOOK_EVERY_S, self._look)

    def _decide(self) -> None:
        for item in failed_for_good(self.work):
            self._fold(evt.ItemFailed(work_id="w", index=item, tries=tuple(self.work.troubles[item].tries)))
        for _ in range(MOST_DECISIONS_AT_ONCE):
            decision = next_decision(self.state, self.work, START + timedelta(seconds=self.now_s))
            if decision is None:
                return
            self._fold(decision)
            if isinstance(decision, evt.WorkDispatched):
                for batch in decision.batches:
                    self._hand_out(batch)
            elif isinstance(decision, evt.WorkReassigned):
                self._void(decision)
                self._mean(decision.assignments)
        raise AssertionError("it decides without end")

    def _mean(self, assignments: tuple[evt.Assignment, ...]) -> None:
        for part in assignments:
            said = next(self._said)
            for place, item in enumerate(runs.numbers(part.runs)):
                self._meant[part.device_id, item] = said, place

    def _void(self, moved: evt.WorkReassigned) -> None:
        """What is left of void batches and stays with the device is handed out anew, from its beginning."""
        if moved.batches:
            anew: dict[int, int] = defaultdict(lambda: next(self._said))
            for (device, item), (said, place) in list(self._meant.items()):
                if device == moved.device_id:
                    self._meant[device, item] = anew[said], place

    def _hand_out(self, batch: evt.HandOut) -> None:
        for item in () if batch.again else runs.numbers(batch.runs):
            said, place = self._meant[batch.device_id, item]
            self.handed[batch.device_id, said].append(place)
        self.at(ROUND_S, lambda: self._arrive(batch))

    def _arrive(self, batch: evt.HandOut) -> None:
        self._queues[batch.device_id].append(batch)
        self._begin(batch.device_id)

    def _begin(self, device: str) -> None:
        queue = self._queues[device]
        if queue and device in self._up and device not in self._held:
            held = self._held[device] = next(self._order), queue.popleft()
            self.at(runs.size(held[1].runs) * self._item_s[device], lambda: self._finish(device, held))

    def _finish(self, device: str, held: tuple[int, evt.HandOut]) -> None:
        if self._held.get(device) != held:
            return  # The worker died over it.
        batch = self._held.pop(device)[1]
        items = list(runs.numbers(batch.runs))
        failed = [item for item in items if self._fails(device, item)]
        self.done.update(item for item in items if item not in failed)
        self._fold(
            evt.BatchFinished(
                work_id="w",
                device_id=device,
                batch=batch.batch,
                item_count=len(items),
                failures=tuple(evt.ItemFailure(index=item, reason="it fails here") for item in failed),
                seconds=len(items) * self._item_s[device],
            )
        )
        self._begin(device)
