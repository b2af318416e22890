"""Reads orders a hundred at a time: one bulk request for many instead of one for each."""

import json

from magnetar_instance import Message, batch


def total(order):
    try:
        return Message(str(sum(json.loads(order.value).values())), key=order.key)
    except (ValueError, AttributeError, TypeError) as error:
        return error  # this order alone fails


@batch(most=100)
def process(orders):
    return [total(order) for order in orders]
