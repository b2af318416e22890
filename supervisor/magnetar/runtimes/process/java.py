"""Launches of Pulsar's Java instance: the command line of Pulsar 4.x, with what 2.8 has otherwise."""

import json
import re
import shlex
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from magnetar_instance.proto.function import FunctionDetails

from magnetar.errors import RefusedError
from magnetar.java.class_file import ClassFileError
from magnetar.java.installation import JavaInstallation
from magnetar.java.jar import read_function
from magnetar.java.timed_output import AGENT
from magnetar.java.version import Version, show_version
from magnetar.model.details import WINDOW_EXECUTOR, WINDOW_KEY
from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.process.command import common_arguments
from magnetar.runtimes.process.java_levels import levels_file
from magnetar.runtimes.process.last_words import of_java
from magnetar.runtimes.process.launch import Launch, Place, health_interval
from magnetar.runtimes.process.newer_fields import refuse_newer_fields
from magnetar.runtimes.process.settings import ProcessSettings

_MAIN = "org.apache.pulsar.functions.instance.JavaInstanceMain"
_SECRETS = {
    "secretsprovider.ClearTextSecretsProvider": "org.apache.pulsar.functions.secretsprovider.ClearTextSecretsProvider",
    "secretsprovider.EnvironmentBasedSecretsProvider": (
        "org.apache.pulsar.functions.secretsprovider.EnvironmentBasedSecretsProvider"
    ),
}
"""The Java classes of the secrets providers that every language has."""
_SUBSCRIBED = re.compile(r"ConsumerImpl - .* Subscribed to topic on ")
"""What the client logs; the instance itself says that it runs long before."""
_MODULES_OPENED = (2, 11)
"""The version since which Pulsar opens modules of the JDK, as Java 17 needs it."""
_FUNCTIONS = (FunctionDetails.FUNCTION, FunctionDetails.UNKNOWN)
_INITIAL_HEAP = 24 * 2**20
_REFLECTION = (
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dorg.apache.pulsar.shade.io.netty.tryReflectionSetAccessible=true",
    "-Dio.grpc.netty.shaded.io.netty.tryReflectionSetAccessible=true",
)
_OPENS = {11: ("java.base/java.nio", "java.base/jdk.internal.misc"), 9: ("java.base/java.util.zip",)}
_OLDEST_JAVA = {(4, 0): 17, (2, 11): 17, (2, 8): 8}
"""The oldest Java that runs an instance, by the Pulsar version since which it is so."""
_QUICK_START = (
    "-XX:Tier3InvocationThreshold=1000",
    "-XX:Tier3MinInvocationThreshold=500",
    "-XX:Tier3CompileThreshold=2000",
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=20000",
    "-XX:Tier4CompileThreshold=100000",
    "-XX:Tier4BackEdgeThreshold=200000",
    "-Dlog4j2.disable.jmx=true",
)
"""Compile what is called often and not what is called at the start: half of the processor time of a start is compilation."""


@dataclass(frozen=True)
class JavaSettings:
    """What Java instances need beyond the settings of all processes.

    `find` returns the installation and may raise RefusedError: an installation may be fetched while the worker runs.
    `program` is `java`, None where there is none; `release` is its feature release (17), None when unknown.
    `archive` returns the class data archive of an installation, None where none was made. `timed_output` puts the time
    before printed lines.
    """

    find: Callable[[], JavaInstallation]
    program: Callable[[], Path | None]
    release: Callable[[Path], int | None]
    archive: Callable[[JavaInstallation], Path | None]
    additional_arguments: tuple[str, ...] = ()
    max_pending_async_requests: int = 1000
    web_service_url: str = ""
    ignore_unknown_config_fields: bool = False
    nar_extraction_directory: str = ""
    host_memory: int = 0
    timed_output: bool = True


@dataclass(frozen=True)
class JavaLanguage:
    """Java functions, as `settings` and `java` say."""

    settings: ProcessSettings
    java: JavaSettings

    @property
    def can_wait(self) -> bool:
        """False: Pulsar's instance subscribes as soon as it runs."""
        return False

    def launch(self, spec: InstanceSpec, place: Place) -> Launch:
        """Return how to start an instance. Raises RefusedError for what this host's Java or Pulsar can't run."""
        installation = self.admit(spec.details, spec.package)
        program = self.java.program()
        release = (program and self.java.release(program)) or _needed_java(installation.version)
        argv = [str(program), *self._machine(installation, spec, place, release), _MAIN]
        argv += java_arguments(self.settings, self.java, spec, place)
        return Launch(
            argv=argv,
            environment=dict(self.settings.environment),
            output=place.log_file.with_suffix(".out"),
            health_interval=health_interval(self.settings.health_check_interval),
            last_words=of_java,
            ready_line=_SUBSCRIBED,
            levels=levels_file(place.log_file),
        )

    def admit(self, details: FunctionDetails, package: Path | None = None) -> JavaInstallation:
        """Return the installation that can run a function, or raise RefusedError with what to change."""
        installation = self.java.find()
        program = self.java.program()
        if program is None:
            raise RefusedError(
                "Java functions need Java, and there is no `java` in the worker's PATH: "
                f"install Java {_needed_java(installation.version)} or newer"
            )
        release, needed = self.java.release(program), _needed_java(installation.version)
        if release is not None and release < needed:
            raise RefusedError(
                f"Pulsar {show_version(installation.version)} needs Java {needed} or newer, and {program} is Java "
                f"{release}: put a newer one first in the worker's PATH"
            )
        refuse_newer_fields(details, installation.version)
        self._refuse_heap(details)
        flags(details.runtimeFlags)
        if package is not None and details.componentType in _FUNCTIONS:
            self._judge_class(_class_name(details), package, release)
        return installation

    def _judge_class(self, class_name: str, package: Path, release: int | None) -> None:
        """Refuse a class that needs a newer Java, or a state store that is not there; the rest is judged at create."""
        try:
            with zipfile.ZipFile(package) as archive:
                found = read_function(archive, class_name)
        except (OSError, zipfile.BadZipFile, KeyError, ClassFileError):
            return
        if release is not None and found.release > release:
            raise RefusedError(
                f"className {class_name!r} is built for Java {found.release}, and this worker's is Java {release}: "
                f"build it with --release {release}, or put a newer Java first in the worker's PATH"
            )
        if found.uses_state and not self.settings.state_storage_url.startswith("bk://"):
            raise RefusedError(
                f"className {class_name!r} uses state, which Java functions keep in BookKeeper: "
                "set stateStorageServiceUrl to bk://…, or write the function in Python"
            )

    def _refuse_heap(self, details: FunctionDetails) -> None:
        if 0 < self.java.host_memory < details.resources.ram:
            raise RefusedError(
                f"resources.ram: {details.resources.ram} bytes is the heap of each instance, and this host has "
                f"{self.java.host_memory} bytes of memory: ask for less"
            )

    def _machine(self, installation: JavaInstallation, spec: InstanceSpec, place: Place, release: int) -> list[str]:
        """Return everything before the main class, in Pulsar's order; what is not Pulsar's comes first."""
        chosen = [*self.java.additional_arguments, *flags(spec.details.runtimeFlags)]
        ram = spec.details.resources.ram
        extra = self.settings.extra_dependencies
        arguments = [*quick_start(self.java.archive(installation), chosen, ram)]
        if self.java.timed_output:
            arguments.append(f"-javaagent:{AGENT}")
        arguments += ["-cp", f"{installation.jar}:{extra}/*" if extra else str(installation.jar)]
        if extra:
            arguments.append(f"-Dpulsar.functions.extra.dependencies.dir={extra}")
        arguments += [
            f"-Dpulsar.functions.instance.classpath={installation.class_path}",
            f"-Dlog4j.configurationFile={installation.log_config},{levels_file(place.log_file)}",
            f"-Dpulsar.function.log.dir={place.log_file.parent}",
            f"-Dpulsar.function.log.file={place.log_file.stem}",
            *opened_modules(installation.version, release),
            *chosen,
        ]
        return [*arguments, f"-Xmx{ram}"] if ram else arguments


def java_arguments(settings: ProcessSettings, java: JavaSettings, spec: InstanceSpec, place: Place) -> list[str]:
    """Return the arguments of the instance itself, in the order of Pulsar 2.8 to 4.2."""
    before = ["--web_serviceurl", java.web_service_url, "--expose_pulsaradmin"] if java.web_service_url else []
    after = ["--pending_async_requests", str(java.max_pending_async_requests)]
    if java.ignore_unknown_config_fields:
        after.append("--ignore_unknown_config_fields")
    provider = _SECRETS.get(settings.secrets_provider, settings.secrets_provider)
    arguments = ["--jar", str(place.package)]
    arguments += common_arguments(
        settings, spec, place, secrets_provider=provider, after_service_url=before, after_ports=after
    )
    if java.nar_extraction_directory:
        arguments += ["--nar_extraction_directory", java.nar_extraction_directory]
    return arguments


def opened_modules(version: Version, release: int) -> list[str]:
    """Return the flags with which Pulsar 2.11 and later opens modules of the JDK to its libraries."""
    if version < _MODULES_OPENED:
        return []
    arguments = list(_REFLECTION)
    for since, modules in _OPENS.items():
        if release >= since:
            arguments += [part for module in modules for part in ("--add-opens", f"{module}=ALL-UNNAMED")]
    return arguments


def quick_start(archive: Path | None, chosen: Sequence[str], ram: int) -> list[str]:
    """Return the flags that halve a start's time and memory; what the user chose wins, for it comes later.

    A second garbage collector would be refused by the JVM, so ours is left out where one is chosen.
    """
    arguments = list(_QUICK_START)
    if not any(flag.startswith("-XX:+Use") and flag.endswith("GC") for flag in chosen):
        arguments.append("-XX:+UseSerialGC")
    if not ram or ram >= _INITIAL_HEAP:
        arguments.append(f"-Xms{_INITIAL_HEAP}")
    if archive is not None:
        arguments += [f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
    return arguments


def flags(text: str) -> list[str]:
    """Return `runtimeFlags` as arguments, or raise RefusedError where a quotation does not end."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise RefusedError(
            f"runtimeFlags: {text!r} can't be split into flags: {error}; close what was opened"
        ) from None


def _class_name(details: FunctionDetails) -> str:
    """Return the user's class: that of a window function is inside its user config."""
    if details.className != WINDOW_EXECUTOR:
        return details.className
    window = json.loads(details.userConfig or "{}").get(WINDOW_KEY, {})
    return str(window.get("actualWindowFunctionClassName", ""))


def _needed_java(version: Version) -> int:
    return next(java for since, java in _OLDEST_JAVA.items() if version >= since or since == (2, 8))
