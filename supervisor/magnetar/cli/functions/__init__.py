"""The verbs of `magnetar functions`, named as pulsar-admin's."""
