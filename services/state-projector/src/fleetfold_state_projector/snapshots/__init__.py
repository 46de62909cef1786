"""Snapshots of the folded state: taken without a pause, kept on disk, handed out to whoever starts."""
