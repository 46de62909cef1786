"""What the structs say, for those who do not read Python: `python -m fleetfold_contracts.schemas DIR` writes it."""
