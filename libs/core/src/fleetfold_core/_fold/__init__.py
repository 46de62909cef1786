"""What the fold does, event by event: each function folds one, or says what stands against it and changes nothing."""
