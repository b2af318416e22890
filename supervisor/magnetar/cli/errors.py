"""What a command says when it is used wrongly."""


class UsageError(Exception):
    """Raised when options contradict each other or lack something; the message is one line that says what to do."""
