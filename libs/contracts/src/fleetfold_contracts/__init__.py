"""Every message on Fleetfold's wire: structs, subjects and the codec. It needs msgspec and nothing else."""
