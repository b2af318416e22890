"""The verbs of `magnetar functions-worker`, named as pulsar-admin's."""
