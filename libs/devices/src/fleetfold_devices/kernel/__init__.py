"""What the kernel's own files tell of GPUs."""
