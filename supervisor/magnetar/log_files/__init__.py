"""Instances' log files: their rotation, and reading them across it. Blocking but for `rotator`; called from threads."""
