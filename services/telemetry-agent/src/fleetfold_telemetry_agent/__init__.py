"""Finds the GPUs of a host, and publishes what they are and what they read."""
