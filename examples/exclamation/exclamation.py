"""The least that is a function: `process` is called with each message, and what it returns goes to the output topic."""


def process(input):
    return f"{input}!"
