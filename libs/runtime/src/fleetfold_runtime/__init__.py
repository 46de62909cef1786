"""What every service needs to run: settings, clock, signals, logs, health, a live fold of the log."""
