"""Simulated fleets: nodes of the bundled trace, or described in a file."""
