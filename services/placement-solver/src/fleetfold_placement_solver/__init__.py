"""Puts the shards of a workload on devices, or says why it cannot."""
