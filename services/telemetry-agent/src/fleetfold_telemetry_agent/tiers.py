"""When slow readings are due: at the start, and then every so often. Pure."""

from fleetfold_devices.isolation.look import Question


class Tiers:
    """The health of devices, and their topology: each has its own pace. Its times are those of a steady clock."""

    def __init__(self, *, health_every_s: float, topology_every_s: float) -> None:
        """Both are due."""
        self._health_every_s = health_every_s
        self._topology_every_s = topology_every_s
        self._health_at_s = self._topology_at_s = float("-inf")

    def question(self, now_s: float) -> Question:
        """What to look at now."""
        return Question(health=now_s >= self._health_at_s, topology=now_s >= self._topology_at_s)

    def answered(self, question: Question, now_s: float) -> None:
        """What was asked for has been told. Until then it stays due."""
        if question.health:
            self._health_at_s = now_s + self._health_every_s
        if question.topology:
            self._topology_at_s = now_s + self._topology_every_s
