"""What happens, as it happens: one reader of the log and of the samples, many listeners."""
