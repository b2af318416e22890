"""The embedded broker: a small Pulsar for one host."""
