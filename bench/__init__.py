"""Benchmarks: each module measures one thing in one run, so that its ratios hold whatever else the machine does."""
