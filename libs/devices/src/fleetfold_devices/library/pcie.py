"""What a PCI Express link can carry."""

LANE_PAYLOAD_GBPS = {
    1: 2.5 * 8 / 10,
    2: 5.0 * 8 / 10,
    3: 8.0 * 128 / 130,
    4: 16.0 * 128 / 130,
    5: 32.0 * 128 / 130,
    6: 64.0 * 242 / 256,
}
"""By generation: gigabits a second each way on one lane, after the line code and, in generation 6, the bytes of a flit
that are no payload (PCI Express Base Specification 6.0)."""


def bandwidth_gbps(generation: int, lanes: int) -> float | None:
    """Gigabits a second each way. None for a generation that is not known, or no lanes."""
    each = LANE_PAYLOAD_GBPS.get(generation)
    return each * lanes if each and lanes else None


def generation(lane_gigatransfers: float) -> int:
    """The generation whose lanes make so many transfers a second, in 10⁹. 0: none does."""
    return {2.5: 1, 5.0: 2, 8.0: 3, 16.0: 4, 32.0: 5, 64.0: 6}.get(lane_gigatransfers, 0)


def slower_gbps(first_gbps: float | None, second_gbps: float | None) -> float | None:
    """What two links in a row carry: as much as the slower of them. None where one is not known."""
    return None if first_gbps is None or second_gbps is None else min(first_gbps, second_gbps)
