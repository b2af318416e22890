"""A functions worker for Apache Pulsar, in Python."""
