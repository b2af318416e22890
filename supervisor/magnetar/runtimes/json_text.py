"""Messages as JSON that is the same in every process: the maps of a message have no order of their own. Pure."""

import json

from google.protobuf import json_format
from google.protobuf.message import Message


def stable_json(message: Message) -> str:
    """Return a message as compact JSON without default values, as Pulsar writes it, with its keys in order."""
    return json.dumps(json_format.MessageToDict(message), sort_keys=True, separators=(",", ":"))
