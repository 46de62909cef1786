"""What a plan must hold to, written a second time: nothing here is shared with those who make plans."""
