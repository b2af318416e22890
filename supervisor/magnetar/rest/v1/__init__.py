"""Magnetar's own API, `/magnetar/v1`: instances, their events and logs, plans, manifests and log levels."""
