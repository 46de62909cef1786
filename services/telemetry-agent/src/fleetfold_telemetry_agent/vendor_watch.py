"""One vendor of this host: looked at once a tick, shown as it was when it does not answer, and started again."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec

from fleetfold_contracts.inventory import Vendor
from fleetfold_contracts.samples import Sample
from fleetfold_devices.isolation.look import Look, Question
from fleetfold_devices.port import DevicesError, Inventory, VendorUnavailableError
from fleetfold_runtime.clock import Clock
from fleetfold_runtime.logs import get_logger
from fleetfold_telemetry_agent.pauses import doubling
from fleetfold_telemetry_agent.reporter import Seen
from fleetfold_telemetry_agent.settings import AgentSettings
from fleetfold_telemetry_agent.staleness import as_lost, as_stale

RESTART_PAUSES_S = (1.0, 60.0)
STEADY_AFTER_S = 60.0
"""A driver that has answered for so long counts as well again: the next restart comes after the shortest pause."""
LONGEST_SEARCH_PAUSE_FACTOR = 16
"""How much more seldom than for links a driver is looked for that has never been there."""
NO_SIGN = ("there is no sign of a driver", "`fleetfold doctor` says how to get one")

_log = get_logger()


class Source(Protocol):
    """A vendor's devices, as `IsolatedSource` has them."""

    @property
    def running(self) -> bool:
        """Whether the next look goes on where the last one was. Else it opens the driver."""
        ...

    async def look(self, question: Question, *, within_s: float) -> Look:
        """Look at the devices. Raises a `DevicesError` where they cannot be seen."""
        ...

    async def close(self) -> None:
        """Let the driver go."""
        ...


class VendorWatch:
    """Looks at one vendor's devices, and never lets anybody wait for longer than a look may take.

    `patience_s` is how long a tick waits. A look that takes longer goes on until its deadline, and counts at a later
    tick. `is_there` says at little cost whether there is any use in opening the driver.
    """

    def __init__(
        self,
        vendor: Vendor,
        source: Source,
        settings: AgentSettings,
        clock: Clock,
        *,
        patience_s: float,
        is_there: Callable[[], bool],
    ) -> None:
        """Nothing has been looked at yet."""
        self._vendor = vendor
        self._source = source
        self._settings = settings
        self._clock = clock
        self._patience_s = patience_s
        self._is_there = is_there
        self._tiers = settings.tiers()
        self._looking: asyncio.Task[list[Seen]] | None = None
        self._samples: tuple[Sample, ...] | None = None
        self._good_at_s = clock.monotonic_s()
        self._opened_at_s = 0.0
        self._problems: tuple[str, ...] = ()
        self._trouble: DevicesError | None = None
        self._not_before_s = float("-inf")
        every_s = settings.topology_interval_s
        self._search_pauses = doubling(every_s, LONGEST_SEARCH_PAUSE_FACTOR * every_s)
        self._restart_pauses = doubling(*RESTART_PAUSES_S)

    @property
    def device_count(self) -> int | None:
        """How many devices there are; None while that is not known."""
        if self._samples is None:
            return None if self._trouble is None else 0
        return len(self._samples)

    async def look(self) -> list[Seen]:
        """What was seen since the last tick; without anything new, what is remembered."""
        seen = self._come_in()
        if self._looking is None and self._clock.monotonic_s() >= self._not_before_s:
            self._looking = asyncio.create_task(self._look())
        if self._looking is not None:
            await asyncio.wait({self._looking}, timeout=self._patience_s)
            seen += self._come_in()
        return seen or self._remembered()

    async def close(self) -> None:
        """End the look that is under way, and let the driver go."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        await self._source.close()

    def _come_in(self) -> list[Seen]:
        if self._looking is None or not self._looking.done():
            return []
        seen = self._looking.result()
        self._looking = None
        return seen

    async def _look(self) -> list[Seen]:
        opening = not self._source.running
        question = self._tiers.question(self._clock.monotonic_s())
        if opening:
            question = msgspec.structs.replace(question, topology=True)
        limit_s = self._settings.topology_deadline_s if question.topology else self._settings.round_deadline_s
        try:
            if opening and not self._is_there():
                raise VendorUnavailableError(self._vendor, *NO_SIGN)
            look = await self._source.look(question, within_s=limit_s)
        except DevicesError as error:
            self._failed(error)
            return []
        self._answered(question, look, opened=opening)
        return [Seen(look=look, vendor=self._vendor, opened=opening)]

    def _answered(self, question: Question, look: Look, *, opened: bool) -> None:
        now_s = self._clock.monotonic_s()
        self._tiers.answered(question, now_s)
        if opened:
            self._opened_at_s = now_s
        elif now_s - self._opened_at_s >= STEADY_AFTER_S:
            self._restart_pauses = doubling(*RESTART_PAUSES_S)
        if self._trouble is not None:
            _log.info("a vendor's GPUs can be read", vendor=self._vendor)
        self._samples, self._good_at_s, self._trouble = look.samples, now_s, None
        if look.inventory is not None:
            self._tell_problems(look.inventory.problems)

    def _tell_problems(self, problems: tuple[str, ...]) -> None:
        for problem in set(problems) - set(self._problems):
            _log.warning("a GPU is left out", vendor=self._vendor, reason=problem)
        self._problems = problems

    def _failed(self, error: DevicesError) -> None:
        searching = self._samples is None and isinstance(error, VendorUnavailableError)
        pause_s = next(self._search_pauses if searching else self._restart_pauses)
        self._not_before_s = self._clock.monotonic_s() + pause_s
        if str(error) != str(self._trouble):
            tell = _log.info if searching else _log.warning
            tell("a vendor's GPUs cannot be read", reason=str(error), again_in_s=pause_s)
        self._trouble = error

    def _remembered(self) -> list[Seen]:
        age_s = self._clock.monotonic_s() - self._good_at_s
        lost = age_s > self._settings.stale_limit_s or isinstance(self._trouble, VendorUnavailableError)
        if self._samples is None:
            look = Look(inventory=Inventory()) if lost and self._trouble else None
        elif lost:
            look = Look(samples=as_lost(self._samples, self._clock.now()))
        else:
            look = Look(samples=as_stale(self._samples, age_s))
        why_lost = str(self._trouble or f"{self._vendor}: no answer for {age_s:.0f} s")
        return [Seen(look=look, vendor=self._vendor, why_lost=why_lost)] if look else []
