"""Answers and events as a person reads them. Nothing here asks."""
