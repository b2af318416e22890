"""The API server: how it is reached, called, mirrored, and what it can answer."""
