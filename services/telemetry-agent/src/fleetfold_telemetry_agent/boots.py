"""Boots: a machine's start and an agent's start are told apart in one id. Pure."""

from fleetfold_contracts.ids import BootId


def boot_id_of(machine_boot: BootId, run: str) -> BootId:
    """The id of a run of the agent on a machine that has been up since `machine_boot`. `run` has no `-` in it."""
    return f"{machine_boot}-{run}"


def same_machine_boot(one: BootId, other: BootId) -> bool:
    """Whether the machine has been up from one run of its agent to the other."""
    return one.rpartition("-")[0] == other.rpartition("-")[0]
