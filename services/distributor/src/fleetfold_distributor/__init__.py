"""Spreads work items over devices, and loses none."""
