"""One instance of a Pulsar function written in Python; what functions import stands here."""

from magnetar_instance.api import BatchOptions, EventTime, InputMessage, Message, batch

__all__ = ["BatchOptions", "EventTime", "InputMessage", "Message", "batch"]
