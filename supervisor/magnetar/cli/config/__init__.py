"""The verbs of `magnetar config`."""
