"""What Prometheus reads: every device, the fleet, and the gateway itself."""
