"""Where answers go: a table or a line for a person, JSON for a program."""

import sys

from rich.console import Console, RenderableType

from fleetfold_contracts import codec
from fleetfold_contracts.events import Event

UNCUT_COLUMNS = 10_000


def show(document: object, drawing: RenderableType, *, as_json: bool) -> None:
    """Print an answer on stdout: its document as one line of JSON, or its drawing for a person."""
    if as_json:
        print_json(document)
    else:
        console().print(drawing)


def event_document(event: Event) -> dict[str, object]:
    """An outcome as JSON shows it, with the keys `type` and `data` of the envelope that lies in the log."""
    return {"type": codec.event_type(type(event)), "data": event}


def print_json(value: object) -> None:
    """One line of JSON on stdout, sent at once."""
    sys.stdout.write(codec.encode(value).decode() + "\n")
    sys.stdout.flush()


def console() -> Console:
    """Stdout for a person. Ids are no markup, no figure is painted, and into a pipe no line is cut."""
    width = None if sys.stdout.isatty() else UNCUT_COLUMNS
    return Console(markup=False, highlight=False, width=width)
