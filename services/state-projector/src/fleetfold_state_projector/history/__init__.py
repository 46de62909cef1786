"""What devices read over time: the newest samples in memory, roll-ups of all of them on disk."""
