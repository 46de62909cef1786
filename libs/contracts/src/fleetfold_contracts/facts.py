"""What `<root>.api.facts` is asked and answers: whether a fold of the log comes to the same."""

import msgspec

from fleetfold_contracts.inventory import Count


class FactsQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `facts` takes."""

    at_least: Count = 0


class FactsAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A digest of each part of the state, without telemetry: whoever folds the log to this position has the same."""

    position: Count
    digests: dict[str, str] = {}
