"""The HTTP side: what may be asked, by whom, how much, and how it is answered."""
