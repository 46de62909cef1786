"""Subjects and streams: where each message lies. Built and parsed here, nowhere else."""

from dataclasses import dataclass

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DeviceId, NodeId, PoolId, check_token
from fleetfold_contracts.shares import Share

DEFAULT_ROOT = "fleet"


@dataclass(frozen=True)
class Subjects:
    """All subjects of one cluster. Clusters that share a NATS account differ by `root`.

    An id that is no token is refused with a `ValueError`, as is such a root: a dot in it would make another subject of
    it, and a wildcard many.
    """

    root: str = DEFAULT_ROOT

    def __post_init__(self) -> None:
        """Refuse a root that is no subject."""
        for part in self.root.split("."):
            check_token(part)

    def event(self, event: evt.Event) -> str:
        """The subject that an event is appended to: its scope, then its type's words.

        The first word is dropped when it only repeats the scope: `fleet.evt.command.rejected`.
        """
        scope = event_scope(event)
        words = evt.TYPE_OF_EVENT[type(event)].split(".")
        if words[0] == scope[0]:
            words = words[1:]
        return ".".join((self.root, "evt", *map(check_token, scope), *words))

    @property
    def all_events(self) -> str:
        """Every event."""
        return f"{self.root}.evt.>"

    @property
    def all_node_events(self) -> str:
        """Every event of every node."""
        return f"{self.root}.evt.node.>"

    def node_events(self, node: NodeId) -> str:
        """Every event of a node."""
        return f"{self.root}.evt.node.{check_token(node)}.>"

    def pool_events(self, pool: PoolId) -> str:
        """Every event that changes an allocation in a pool: the filter of each guard, letter for letter."""
        return f"{self.root}.evt.pool.{check_token(pool)}.>"

    @property
    def all_pool_events(self) -> str:
        """Every event of every pool."""
        return f"{self.root}.evt.pool.>"

    def pool_of(self, event_subject: str) -> PoolId | None:
        """The pool whose ledger an event may change, by the subject that it lies on."""
        words = event_subject.removeprefix(f"{self.root}.evt.").split(".")
        return words[1] if words[0] == "pool" else None

    @property
    def all_joined(self) -> str:
        """That a node joined, of every node."""
        return f"{self.root}.evt.node.*.joined"

    def liveness(self, node: NodeId) -> str:
        """Where it is said whether a node is heard from. Only projectors write there."""
        return f"{self.root}.evt.node.{check_token(node)}.liveness.changed"

    @property
    def work_events(self) -> str:
        """Every event about work."""
        return f"{self.root}.evt.work.>"

    def samples(self, node: NodeId) -> str:
        """The samples of one node."""
        return f"{self.root}.tlm.{check_token(node)}"

    def node_of(self, samples_subject: str) -> NodeId:
        """The node whose samples lie on a subject."""
        return samples_subject.removeprefix(f"{self.root}.tlm.")

    @property
    def all_samples(self) -> str:
        """The samples of every node."""
        return f"{self.root}.tlm.>"

    def command(self, verb: str) -> str:
        """Where a command is published durably."""
        return f"{self.root}.cmd.{check_token(verb)}"

    @property
    def all_commands(self) -> str:
        """Every command, known or not."""
        return f"{self.root}.cmd.>"

    def verb(self, command_subject: str) -> str:
        """The verb of a command's subject: what stands behind `<root>.cmd.`."""
        return command_subject.removeprefix(f"{self.root}.cmd.")

    def api(self, verb: str) -> str:
        """Where a question is asked."""
        return f"{self.root}.api.{check_token(verb)}"

    def snapshot_parts(self, instance: str) -> str:
        """Where one projector, and no other, is asked for the parts of a snapshot."""
        return f"{self.root}.api.snapshot.{check_token(instance)}"

    def share_api(self, share: Share, verb: str) -> str:
        """Where the projectors of one share of the fleet are asked for their part of an answer."""
        return f"{self.root}.api.share.{share.token}.{check_token(verb)}"

    def agent(self, node: NodeId, verb: str) -> str:
        """Where the agent of one node is asked."""
        return f"{self.root}.agent.{check_token(node)}.{check_token(verb)}"

    def work(self, device: DeviceId) -> str:
        """The batches that wait for a device's worker."""
        return f"{self.root}.work.{check_token(device)}"

    @property
    def all_work(self) -> str:
        """The batches of every device."""
        return f"{self.root}.work.>"

    @property
    def state_bucket(self) -> str:
        """The bucket that shows the state to whoever watches: `fleet-state`."""
        return f"{self.root.replace('.', '-')}-state"

    def stream(self, name: str) -> str:
        """A stream's name: `FLEET_EVT` for the root `fleet` and the name `EVT`."""
        return f"{self.root.upper().replace('.', '_')}_{name}"


def event_scope(event: evt.Event) -> tuple[str, ...]:
    """Whose event it is: a node's, a pool's, the work's or the commands'."""
    match event:
        case evt.NodeJoined():
            return ("node", event.node.node_id)
        case (
            evt.NodeLeft()
            | evt.LivenessChanged()
            | evt.DeviceRegistered()
            | evt.DeviceLost()
            | evt.DeviceRecovered()
            | evt.DeviceFaulted()
            | evt.LinksObserved()
        ):
            return ("node", event.node_id)
        case evt.PlacementDecided() | evt.PlacementRefused() | evt.PlacementQueued():
            return ("pool", event.workload.pool)
        case (
            evt.DeviceCordoned()
            | evt.DeviceUncordoned()
            | evt.NodeCordoned()
            | evt.NodeUncordoned()
            | evt.NodeTransferred()
            | evt.DeviceDrainStarted()
            | evt.DeviceDrainFinished()
            | evt.PlacementDegraded()
            | evt.PlacementMoved()
            | evt.PlacementPreempted()
            | evt.PlacementReleased()
            | evt.QuotaSet()
        ):
            return ("pool", event.pool)
        case evt.CommandRejected() | evt.PlacementPreviewed() | evt.RebalanceProposed():
            return ("command",)
        case _:
            return ("work",)
