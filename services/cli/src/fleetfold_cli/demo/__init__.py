"""`fleetfold demo`: the whole system on this machine, from a GPU's reading to work in a worker's hands."""
