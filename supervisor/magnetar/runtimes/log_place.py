"""Where an instance's log goes, in every runtime."""

from pathlib import Path

from magnetar_instance.proto.function import FunctionDetails

from magnetar.host_users import Account, hand_over
from magnetar.runtimes.base import RuntimeStartError
from magnetar.runtimes.process.command import log_file


def place_of_log(
    log_directory: Path, details: FunctionDetails, instance_id: int, account: Account | None = None
) -> Path:
    """Return an instance's log file, its folder made and its user's. Raises RuntimeStartError that names the setting."""
    log = log_file(log_directory, details.tenant, details.namespace, details.name, instance_id)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        hand_over(log.parent, account)
    except OSError as problem:
        raise RuntimeStartError(
            f"the log directory {log_directory} can't be written ({problem.strerror}): correct logDirectory in "
            "functionRuntimeFactoryConfigs, or its permissions"
        ) from problem
    return log
