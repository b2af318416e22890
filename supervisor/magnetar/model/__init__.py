"""What a function is: config, details, validation, status and stats; pure, without input or output."""

from magnetar.model.details import to_details
from magnetar.model.from_details import to_config
from magnetar.model.function import FunctionConfig, read_config
from magnetar.model.infer import infer
from magnetar.model.merge import UpdateOptions, merge
from magnetar.model.runtime_options import MagnetarOptions, parse_options
from magnetar.model.validate import validate

__all__ = [
    "FunctionConfig",
    "MagnetarOptions",
    "UpdateOptions",
    "infer",
    "merge",
    "parse_options",
    "read_config",
    "to_config",
    "to_details",
    "validate",
]
