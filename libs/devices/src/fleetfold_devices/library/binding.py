"""A vendor's Python binding: it can fail in more ways than an import should, and speaks of errors in its own way."""

import contextlib
import io
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from fleetfold_contracts.samples import Absence
from fleetfold_devices.meter import AbsentError
from fleetfold_devices.port import VendorUnavailableError


@contextlib.contextmanager
def loading(vendor: str, remedy: str) -> Generator[None]:
    """Import a binding within this block.

    A binding may print while it is imported. That is swallowed, because programs read what we print.

    Raises:
        VendorUnavailableError: the binding is not installed, finds no library, or one too old. Bindings say so by an
            ImportError, an OSError, a KeyError or an AttributeError.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    except (ImportError, OSError, KeyError, AttributeError) as error:
        said = on_one_line(printed.getvalue() or f"{type(error).__name__}: {error}")
        raise VendorUnavailableError(vendor, f"its library cannot be used ({said})", remedy) from error


def on_one_line(text: object) -> str:
    """A message without the line breaks that some bindings put into it."""
    return " ".join(str(text).split())


@dataclass(frozen=True, slots=True)
class Driver:
    """Calls into a driver. `meaning` turns one of the binding's `errors` into one of ours."""

    errors: type[Exception]
    meaning: Callable[[Any], Exception]

    def ask(self, call: Callable[..., Any], *arguments: object) -> Any:
        """What the call answers.

        Raises:
            AbsentError: it has no answer, or none that can be read.
            DeviceLostError: the device is gone.
            VendorUnavailableError: the driver is gone.
        """
        try:
            return call(*arguments)
        except self.errors as error:
            raise self.meaning(error) from error
        except ValueError as error:  # text that is no UTF-8, a number that is none
            raise AbsentError(Absence.ERROR, str(error)) from error

    def ask_or_none(self, call: Callable[..., Any], *arguments: object) -> Any:
        """What the call answers; None where it has no answer."""
        try:
            return self.ask(call, *arguments)
        except AbsentError:
            return None


class FirstSupported:
    """The first of some calls that the device and its driver have: what they lack is tried once.

    A call raises AbsentError, for good, where it is lacking.
    """

    def __init__(self, *calls: Callable[[], Any]) -> None:
        self._calls = list(calls)

    def __call__(self) -> Any:
        """What that call answers. Raises what the last one raises where they are all lacking."""
        while len(self._calls) > 1:
            try:
                return self._calls[0]()
            except AbsentError as error:
                if not error.for_good:
                    raise
                del self._calls[0]
        return self._calls[0]()
