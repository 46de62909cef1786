"""One adapter a vendor."""
