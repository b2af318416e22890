"""Fails now and then: each message is tried again after a second, two, four…, and given up after five retries."""

from pulsar import Function


class Flaky(Function):
    def __init__(self):
        self.failed = set()

    def process(self, input, context):
        if input not in self.failed:
            self.failed.add(input)
            raise ConnectionError("the service is away")  # stands for a failure that passes
        return f"{input} at last"
