"""One module a group of commands. Each has an `app` that is merged into `fleetfold`."""
