"""GPUs behind one port: an adapter a vendor, and simulated fleets."""
