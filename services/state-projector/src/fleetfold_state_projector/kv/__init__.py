"""The state in a bucket, for whoever watches: one key a device, a node, a placement, and a summary."""
