"""Looks after a machine and a cluster: what works, what is missing, what is broken."""
