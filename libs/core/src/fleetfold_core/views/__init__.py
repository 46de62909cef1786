"""The state as it is shown: each question's answer, made of a state alone, and no larger than one message."""
