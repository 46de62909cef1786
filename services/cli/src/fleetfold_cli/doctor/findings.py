"""What a look at one part found."""

from enum import StrEnum

import msgspec


class State(StrEnum):
    """How a part is."""

    GOOD = "good"
    NOTICE = "notice"
    """It may be meant so, as a vendor whose GPUs are not here."""
    BROKEN = "broken"


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part, how it is, and what to do about it."""

    part: str
    state: State
    found: str
    remedy: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All findings."""

    findings: tuple[Finding, ...]
    broken: bool
    """Whether any part is."""


def report_on(findings: list[Finding]) -> Report:
    """The report on these."""
    return Report(findings=tuple(findings), broken=any(finding.state is State.BROKEN for finding in findings))
