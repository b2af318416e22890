"""The one command of a pod: download the package, learn the ordinal, become the instance. Pure.

The order of the arguments is that of Pulsar 4.x; a download tool and an instance of Pulsar's image understand it, and so
do those of Magnetar's.
"""

import json
import shlex
import unicodedata
from pathlib import Path, PurePosixPath
from re import ASCII
from re import compile as pattern

from magnetar_instance.proto.function import FunctionDetails

from magnetar.runtimes.base import FunctionSpec, InstanceSpec
from magnetar.runtimes.choice import language_of
from magnetar.runtimes.json_text import stable_json
from magnetar.runtimes.kubernetes.objects.shell import Word, joined, line, literally, quoted, quoted_json
from magnetar.runtimes.kubernetes.settings import KubernetesSettings, under
from magnetar.runtimes.process.command import python_arguments
from magnetar.runtimes.process.go import go_conf
from magnetar.runtimes.process.launch import Place
from magnetar.runtimes.process.settings import Credentials, ProcessSettings

SHARD = Word("$SHARD_ID")
_ORDINAL = "@ordinal@"
"""Stands for a Go instance's number in its JSON, which only the pod knows."""
_FOREIGN = pattern(r"[^\w.-]", ASCII)
_ENDINGS = {"JAVA": ".jar", "PYTHON": ".py", "GO": ".go"}
_HEALTH_CHECKS_BY_OTHERS = -1


class PodCommand:
    """Composes the command of the pods of one function; `identity` are its function id and version."""

    def __init__(
        self,
        settings: KubernetesSettings,
        spec: FunctionSpec,
        *,
        identity: tuple[str, str],
        credentials: Credentials | None,
        secrets_provider: str,
    ) -> None:
        self._settings = settings
        self._spec = spec
        self._identity = identity
        self._credentials = credentials
        self._secrets_provider = secrets_provider
        self._language = language_of(spec.details)
        self._file = package_file(settings, spec)

    def compose(self) -> list[str]:
        """Return the container's `command`."""
        steps = [
            line(self._download()),
            "SHARD_ID=${POD_NAME##*-}",
            "echo shardId=${SHARD_ID}",
            *self._last_steps(),
        ]
        return ["sh", "-c", literally(" && ".join(steps))]

    def _last_steps(self) -> list[str]:
        match self._language:
            case "GO":
                return [line([Word("chmod 777"), quoted(self._file)]), line(self._go())]
            case "PYTHON":
                path = joined("PYTHONPATH=${PYTHONPATH}:", quoted(self._settings.dependencies_directory))
                return [line([path, Word("exec"), *self._python()])]
            case _:
                return [line([Word("exec"), *self._java()])]

    def _download(self) -> list[Word]:
        keys = self._settings.keys
        tool = f"{keys.pulsar_root_dir}{keys.config_admin_cli}"
        words = [quoted(tool), Word("--admin-url"), quoted(self._settings.download_url), *self._download_credentials()]
        details = self._spec.details
        words += [Word("functions download --tenant"), quoted(details.tenant), Word("--namespace")]
        words += [quoted(details.namespace), Word("--name"), quoted(details.name)]
        return [*words, Word("--destination-file"), quoted(self._file)]

    def _download_credentials(self) -> list[Word]:
        credentials = self._credentials
        if credentials is None:
            return []
        words: list[Word] = []
        if credentials.plugin and credentials.parameters:
            words += [Word("--auth-plugin"), quoted(credentials.plugin)]
            words += [Word("--auth-params"), quoted(credentials.parameters)]
        if credentials.tls_allow_insecure:
            words.append(Word("--tls-allow-insecure"))
        if credentials.hostname_verification:
            words.append(Word("--tls-enable-hostname-verification"))
        if credentials.tls_trust_cert_path:
            words += [Word("--tls-trust-cert-path"), quoted(credentials.tls_trust_cert_path)]
        return words

    def _process(self) -> tuple[ProcessSettings, InstanceSpec, Place]:
        """Return what the process runtime composes an instance from."""
        root = self._settings.keys.pulsar_root_dir
        process = ProcessSettings(
            pulsar_service_url=self._settings.broker_url,
            cluster_name=self._settings.cluster,
            log_directory=Path("logs"),
            logging_config=under(root, "conf/functions-logging/console_logging_config.ini"),
            state_storage_url=self._settings.state_storage_url,
            health_check_interval=_HEALTH_CHECKS_BY_OTHERS,
            secrets_provider=self._secrets_provider,
        )
        keys, file = self._settings.keys, Path(self._file)
        spec = InstanceSpec(self._spec.details, -1, file, *self._identity)
        return process, spec, Place(file, keys.grpc_port, keys.metrics_port, Path(), self._credentials)

    def _python(self) -> list[Word]:
        keys = self._settings.keys
        words = [Word("python3"), *map(quoted, shlex.split(self._spec.details.runtimeFlags))]
        words.append(quoted(under(keys.pulsar_root_dir, "instances/python-instance/python_instance_main.py")))
        given = python_arguments(*self._process())
        tail = given.index("--instance_id")
        words += map(quoted, given[:tail])
        if keys.install_user_code_dependencies:
            words.append(Word("--install_usercode_dependencies True"))
        if keys.python_dependency_repository:
            words += [Word("--dependency_repository"), quoted(keys.python_dependency_repository)]
        if keys.python_extra_dependency_repository:
            words += [Word("--extra_dependency_repository"), quoted(keys.python_extra_dependency_repository)]
        return [*words, *self._for_the_shell(given[tail:])]

    def _for_the_shell(self, arguments: list[str]) -> list[Word]:
        """Quote pairs of flags and values; the instance is the shell's to fill in, JSON is quoted once only."""
        words: list[Word] = []
        for flag, value in zip(arguments[::2], arguments[1::2], strict=True):
            words.append(quoted(flag))
            if flag == "--instance_id":
                words.append(SHARD)
            elif flag == "--function_details":
                words.append(quoted_json(stable_json(self._spec.details)))
            else:
                words.append(quoted(value))
        return words

    def _java(self) -> list[Word]:
        settings, details = self._settings, self._spec.details
        root, dependencies = settings.keys.pulsar_root_dir, settings.dependencies_directory
        class_path = settings.keys.function_instance_class_path or f"{under(root, 'conf')}:{under(root, 'lib/*')}"
        words = [Word("java -cp"), quoted(f"{under(root, 'instances/java-instance.jar')}:{dependencies}/*")]
        words.append(quoted(f"-Dpulsar.functions.extra.dependencies.dir={dependencies}"))
        words.append(quoted(f"-Dpulsar.functions.instance.classpath={class_path}"))
        words.append(Word("-Dlog4j.configurationFile=kubernetes_instance_log4j2.xml"))
        words.append(quoted(f"-Dpulsar.function.log.dir=logs/functions/{self._spec.fqfn}"))
        words.append(joined(quoted(f"-Dpulsar.function.log.file={details.name}"), "-", SHARD))
        words += [Word(flag) for flag in _JVM_FLAGS]
        words += map(quoted, settings.java_arguments)
        words += map(quoted, shlex.split(details.runtimeFlags))
        if details.resources.ram:
            words.append(Word(f"-Xmx{details.resources.ram}"))
        words += [Word("org.apache.pulsar.functions.instance.JavaInstanceMain"), Word("--jar"), quoted(self._file)]
        return [*words, *self._java_tail()]

    def _java_tail(self) -> list[Word]:
        given = python_arguments(*self._process())
        words = self._for_the_shell(given[given.index("--instance_id") :])
        after_ports = words.index(Word("--metrics_port")) + 2
        words[after_ports:after_ports] = [
            Word(f"--pending_async_requests {self._settings.max_pending_async_requests}"),
            *([Word("--ignore_unknown_config_fields")] if self._settings.ignore_unknown_config_fields else []),
        ]
        if self._settings.keys.nar_extraction_directory:
            words += [Word("--nar_extraction_directory"), quoted(self._settings.keys.nar_extraction_directory)]
        return words

    def _go(self) -> list[Word]:
        conf = {**go_conf(*self._process()), "instanceID": _ORDINAL, "expectedHealthCheckInterval": 0}
        words = [Word("exec"), quoted(self._file), Word("-instance-conf")]
        return [*words, _with_shard(json.dumps(conf, separators=(",", ":")))]


_JVM_FLAGS = (
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dorg.apache.pulsar.shade.io.netty.tryReflectionSetAccessible=true",
    "-Dio.grpc.netty.shaded.io.netty.tryReflectionSetAccessible=true",
    "--add-opens java.base/java.nio=ALL-UNNAMED",
    "--add-opens java.base/jdk.internal.misc=ALL-UNNAMED",
    "--add-opens java.base/java.util.zip=ALL-UNNAMED",
)


def _with_shard(conf: str) -> Word:
    """Quote a Go instance's JSON around the number that the shell fills in; Pulsar gives -1 to every pod."""
    before, after = conf.split(f'"{_ORDINAL}"', maxsplit=1)
    return joined(quoted_json(before), SHARD, quoted_json(after))


def package_file(settings: KubernetesSettings, spec: FunctionSpec) -> str:
    """Return where the package is put in the pod: its name in plain ASCII, foreign characters as `_`."""
    directory = under(settings.keys.pulsar_root_dir, settings.download_directory)
    return f"{directory.rstrip('/')}/{_file_name(spec)}"


def _file_name(spec: FunctionSpec) -> str:
    name = PurePosixPath(spec.package.originalFileName).name
    if not name:
        return f"{spec.details.name}{_ENDINGS[language_of(spec.details)]}"
    plain = unicodedata.normalize("NFD", name).encode("ascii", "ignore").decode()
    return _FOREIGN.sub("_", plain)


def stable_details(details: FunctionDetails) -> str:
    """Return details without what a running pod need not know: a change of scale leaves the pods alone."""
    plain = FunctionDetails()
    plain.CopyFrom(details)
    plain.parallelism = 0
    return stable_json(plain)
