"""One Pulsar function instance, in Python."""
