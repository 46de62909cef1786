"""Folds the log into the state of the cluster, and answers questions about it."""
