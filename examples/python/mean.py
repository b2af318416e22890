"""The mean of each minute's readings, by the time that the readings were taken at."""

from magnetar_instance import Message
from pulsar import Function


class Mean(Function):
    def process(self, readings, context):
        values = [float(reading.value) for reading in readings]
        last = max(reading.event_time for reading in readings)
        return Message(str(sum(values) / len(values)), properties={"count": str(len(values))}, event_time=last)
