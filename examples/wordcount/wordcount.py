"""A class is made once for each instance, so it can remember; its context has settings, a log and metrics."""

from collections import Counter

from pulsar import Function


class WordCount(Function):
    def __init__(self):
        self.seen = Counter()

    def process(self, input, context):
        ignored = context.get_user_config_value("ignored") or []
        words = [word for word in str(input).lower().split() if word not in ignored]
        self.seen.update(words)
        context.record_metric("words", len(words))
        context.get_logger().info("%d words, %d different ones so far", len(words), len(self.seen))
        return ", ".join(f"{word} {self.seen[word]}" for word in dict.fromkeys(words))
