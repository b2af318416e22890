"""What is refused at create and update because Kubernetes or the worker's bounds would not have it. Pure."""

from collections.abc import Iterator

from magnetar_instance.proto.function import FunctionDetails

from magnetar.config.runtime_keys import InstanceResources
from magnetar.errors import RefusedError
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.kubernetes.objects.manifests import Extensions, build
from magnetar.runtimes.kubernetes.objects.quantities import DEFAULT_CPU, DEFAULT_RAM
from magnetar.runtimes.kubernetes.secrets import secrets_of
from magnetar.runtimes.kubernetes.settings import Bounds, KubernetesSettings


def admit(settings: KubernetesSettings, spec: FunctionSpec, extensions: Extensions) -> None:
    """Raise RefusedError with every reason why a function can't be run as pods."""
    problems = list(_problems(settings.bounds, spec.details))
    if problems:
        raise RefusedError("; ".join(problems))
    extensions.secrets.check(secrets_of(spec.details))
    build(settings, spec, extensions)


def _problems(bounds: Bounds, details: FunctionDetails) -> Iterator[str]:
    """Compare cores and bytes with the worker's bounds; the disk is never looked at (nor is it by Pulsar)."""
    asked = {"cpu": details.resources.cpu or DEFAULT_CPU, "ram": details.resources.ram or DEFAULT_RAM}
    for name, value in asked.items():
        lowest, highest = _of(bounds.minimum, name), _of(bounds.maximum, name)
        if lowest is not None and value < lowest:
            yield f"resources.{name} {value:g} is below this worker's functionInstanceMinResources of {lowest:g}"
        if highest is not None and value > highest:
            yield f"resources.{name} {value:g} is above this worker's functionInstanceMaxResources of {highest:g}"
    multiples = {name: _multiple(value, _of(bounds.granularity, name), name) for name, value in asked.items()}
    for name, multiple in multiples.items():
        if multiple == 0:
            step = _of(bounds.granularity, name)
            yield (
                f"resources.{name} {asked[name]:g} is no multiple of this worker's "
                f"functionInstanceResourceGranularities of {step:g}"
            )
    cpu, ram = multiples["cpu"], multiples["ram"]
    if bounds.in_lock_step and cpu and ram and cpu != ram:
        yield (
            f"resources.cpu is {cpu} and resources.ram {ram} times its granularity: "
            "functionInstanceResourceChangeInLockStep demands the same multiple of both"
        )


def _of(resources: InstanceResources | None, name: str) -> float | None:
    value = getattr(resources, name, None)
    return None if value is None else float(value)


def _multiple(value: float, step: float | None, name: str) -> int | None:
    """Return how many steps a value is: 0 when it is no whole number of them, None when there is no step."""
    if step is None:
        return None
    scale = 1000 if name == "cpu" else 1
    value, step = round(value * scale), round(step * scale)
    return 0 if step == 0 or value % step else int(value // step)
