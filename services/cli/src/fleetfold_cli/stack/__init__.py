"""The embedded stack: a NATS server and the services as processes of this machine, which end when we do."""
