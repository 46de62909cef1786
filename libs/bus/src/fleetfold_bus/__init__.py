"""The log and the questions: a port (`port`), on NATS JetStream (`nats`) and in memory (`memory`)."""
