"""What is alike for vendors whose GPUs are read through a library."""
