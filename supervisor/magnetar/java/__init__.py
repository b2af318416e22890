"""Pulsar's Java instance on this host: where it is, how it is fetched, what makes it start faster."""
