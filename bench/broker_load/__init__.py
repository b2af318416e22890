"""The loads that bench/broker.py puts on brokers."""
