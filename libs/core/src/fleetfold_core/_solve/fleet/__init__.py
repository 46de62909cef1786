"""Jobs on a fleet of many nodes: what is free as columns, and each strategy a way to rank nodes by them."""
