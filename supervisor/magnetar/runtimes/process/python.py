"""Launches of Python instances: ours from a zygote or by exec, another launcher by exec alone."""

from dataclasses import dataclass
from pathlib import Path

import magnetar_instance
from magnetar_instance.proto.function import FunctionDetails

from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.process.command import python_arguments, python_command, python_environment
from magnetar.runtimes.process.launch import Launch, Place, health_interval
from magnetar.runtimes.process.settings import ProcessSettings

OWN_LAUNCHER = Path(magnetar_instance.__file__).parent / "launcher" / "python_instance_main.py"
"""Our launcher; `pythonInstanceLocation` may name another one, e.g. Pulsar's own."""


@dataclass(frozen=True)
class PythonLanguage:
    """Python functions, as `settings` say."""

    settings: ProcessSettings

    def admit(self, details: FunctionDetails, package: Path) -> None:
        """Admit every function: what can be judged before a start was judged with its package."""

    @property
    def can_wait(self) -> bool:
        """Whether the instance is ours."""
        return self._ours

    @property
    def _ours(self) -> bool:
        location = self.settings.python_instance
        return location is None or location.resolve() == OWN_LAUNCHER.resolve()

    def launch(self, spec: InstanceSpec, place: Place) -> Launch:
        """Return how to start an instance: flags of the interpreter (`runtimeFlags`) need an interpreter of their own."""
        location, ours = self.settings.python_instance, self._ours
        arguments = python_arguments(self.settings, spec, place)
        return Launch(
            argv=python_command(spec, location or OWN_LAUNCHER, arguments),
            environment=python_environment(self.settings, spec.environment),
            output=place.log_file,
            forked_argv=[str(OWN_LAUNCHER), *arguments] if ours and not spec.details.runtimeFlags.strip() else None,
            linked=ours,
            rotation="reopen" if ours and not Path(self.settings.logging_config).is_file() else "own",
            health_interval=health_interval(self.settings.health_check_interval),
            stacks_end_it=not ours,
        )
