"""Fleetfold's decisions, pure: no I/O, no clock, no randomness without a seed."""
