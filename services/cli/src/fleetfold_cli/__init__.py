"""The command fleetfold, and the embedded stack for one machine."""
