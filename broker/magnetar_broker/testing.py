"""Pytest fixtures: a broker as a child process."""
