"""How instances are kept running."""

from collections.abc import Callable

from magnetar_instance.proto.function import FunctionDetails

from magnetar.config.worker import WorkerConfig
from magnetar.model.names import name_of
from magnetar.model.runtime_options import parse_options
from magnetar.policy.health import HealthPolicy
from magnetar.policy.restart import RestartPolicy
from magnetar.policy.users import user_policy
from magnetar.processes.home import Survival
from magnetar.runtimes.choice import choose_runtime, language_of


def survival(config: WorkerConfig) -> Survival | None:
    """Return how long instances outlive the worker, None when they do not."""
    own = config.magnetar
    if not own.instance_survives_worker or "process" not in own.runtimes:
        return None
    return Survival(own.survive_for, own.stop_grace)


def restart_policy(config: WorkerConfig) -> RestartPolicy:
    """Return the restart policy of the `magnetar:` block."""
    return RestartPolicy(**config.magnetar.restart.model_dump())


def health_policy(config: WorkerConfig) -> HealthPolicy:
    """Return how long instances may hang: health checks as long as a watchdog of Pulsar's, three of its intervals."""
    own, interval = config.magnetar, config.instance_liveness_check_freq_ms / 1000
    patience = 3 * interval if interval > 0 else HealthPolicy().patience
    return HealthPolicy(patience, own.stall_after, own.stall_timeout or None)


def runtime_choice(config: WorkerConfig) -> Callable[[FunctionDetails], str]:
    """Return what names the runtime of a function, or raises RefusedError."""
    allowed, default, users = config.magnetar.runtimes, config.runtime, user_policy(config)

    def choose(details: FunctionDetails) -> str:
        asked = parse_options(details.customRuntimeOptions).runtime
        chosen = choose_runtime(language_of(details), asked, allowed=allowed, default=default)
        users.admit(name_of(details), chosen)
        return chosen

    return choose
