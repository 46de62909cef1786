"""What stands at the places of a work's list: read from its command, or from its source, when it is handed out."""

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import aclosing

import msgspec

from fleetfold_bus.port import Bus, Record
from fleetfold_bus.streams import COMMANDS
from fleetfold_contracts import codec
from fleetfold_contracts.commands import Command, Distribute, Source
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.work import Item
from fleetfold_core import runs as run_lists
from fleetfold_core.state import Chunk, Run, WorkState, keep_newest

COMMANDS_KEPT = 16
CHUNKS_KEPT = 8


class ItemsGoneError(Exception):
    """The command or the source that held the items is no longer there."""


class Items:
    """Reads items, and keeps what was read last."""

    def __init__(self, bus: Bus, subjects: Subjects) -> None:
        self._bus = bus
        self._subjects = subjects
        self._commands: dict[int, Distribute] = {}
        self._chunks: dict[tuple[str, int], Sequence[msgspec.Raw]] = {}

    async def of(self, work: WorkState, runs: Sequence[Run]) -> tuple[Item, ...]:
        """The items of some runs.

        Raises:
            ItemsGoneError: they are not there any more.
        """
        if work.source is not None:
            return tuple([await self._drawn(work, work.source, index) for index in run_lists.numbers(runs)])
        bodies = (await self.command(work)).items
        return tuple(
            Item(index=index, body=bodies[index]) if bodies else Item(index=index) for index in run_lists.numbers(runs)
        )

    async def command(self, work: WorkState) -> Distribute:
        """The command that a work came of.

        Raises:
            ItemsGoneError: the stream keeps it no longer.
        """
        sequence = work.command_sequence
        if sequence not in self._commands:
            self._commands[sequence] = await self._read_command(sequence)
            keep_newest(self._commands, COMMANDS_KEPT)
        return self._commands[sequence]

    async def peek(self, source: Source, after: int, end: int, count: int) -> list[Record]:
        """Up to `count` records of a source behind `after`, none of them behind `end`."""
        found: list[Record] = []
        async with aclosing(self._bus.read(source.stream, after=after, filter=source.subject)) as pages:
            async for page in pages:
                found += [record for record in page if record.sequence <= end]
                if len(found) >= count or not page or page[-1].sequence >= end:
                    break
        return found[:count]

    async def _read_command(self, sequence: int) -> Distribute:
        stream = self._subjects.stream(COMMANDS)
        async with aclosing(self._bus.read(stream, after=sequence - 1)) as pages:
            async for page in pages:
                if not page or page[0].sequence != sequence:
                    break
                command: Command = codec.decode_command("distribute", page[0].payload, page[0].headers)
                assert isinstance(command, Distribute), "a work comes of `distribute`"
                return command
        raise ItemsGoneError(f"the command stream no longer holds the command at {sequence}")

    async def _drawn(self, work: WorkState, source: Source, index: int) -> Item:
        place = bisect_right(work.chunks, index, key=lambda chunk: chunk.first) - 1
        chunk = work.chunks[place]
        key = (work.work_id, chunk.first)
        if key not in self._chunks:
            self._chunks[key] = await self._read_chunk(source, chunk, work.source_end)
            keep_newest(self._chunks, CHUNKS_KEPT)
        return Item(index=index, body=self._chunks[key][index - chunk.first])

    async def _read_chunk(self, source: Source, chunk: Chunk, end: int) -> list[msgspec.Raw]:
        records = await self.peek(source, chunk.after, end, chunk.count)
        if len(records) != chunk.count:
            raise ItemsGoneError(f"{source.stream} no longer holds what was drawn behind {chunk.after}")
        return [_as_json(record.payload) for record in records]


def _as_json(payload: bytes) -> msgspec.Raw:
    try:
        msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        return msgspec.Raw(codec.encode(payload.decode(errors="replace")))
    return msgspec.Raw(payload)
