import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from class_files import class_file
from magnetar.errors import RefusedError
from magnetar.java.installation import JavaInstallation
from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.process.java import JavaLanguage, JavaSettings, quick_start
from magnetar.runtimes.process.launch import Place
from magnetar.runtimes.process.settings import Credentials, ProcessSettings
from magnetar_instance.proto.function import MANUAL, FunctionDetails, Resources

SETTINGS = ProcessSettings("pulsar://localhost:6650", "alone", Path("/logs"), {"PATH": "/bin"})
NEW = JavaInstallation(Path("/pulsar/java-instance.jar"), "/pulsar/lib/*", (4, 0, 7), Path("/log4j2.xml"))
OLD = replace(NEW, version=(2, 8, 1))
JAVA = JavaSettings(lambda: NEW, lambda: Path("/bin/java"), lambda _: 17, lambda _: None)
PLACE = Place(Path("/f/my.jar"), 1001, 1002, Path("/logs/functions/t/n/f/f-3.log"))
DETAILS = FunctionDetails(tenant="t", namespace="n", name="f", className="a.B", resources=Resources(ram=2**30))


def spec(details: FunctionDetails = DETAILS) -> InstanceSpec:
    return InstanceSpec(details, 3, PLACE.package, "id", "version")


def argv(
    settings: ProcessSettings = SETTINGS,
    java: JavaSettings = JAVA,
    details: FunctionDetails = DETAILS,
    place: Place = PLACE,
) -> list[str]:
    return list(JavaLanguage(settings, java).launch(spec(details), place).argv)


def test_a_java_command_is_that_of_pulsar_4() -> None:
    """Everything stands in Pulsar's order; only the flags for a quick start come before."""
    command = argv(details=DETAILS.__class__(**_fields(DETAILS), runtimeFlags='-Dx="a b" -ea'))
    assert command[0] == "/bin/java"
    assert command[command.index("-cp") :] == [
        "-cp",
        "/pulsar/java-instance.jar",
        "-Dpulsar.functions.instance.classpath=/pulsar/lib/*",
        "-Dlog4j.configurationFile=/log4j2.xml,/logs/functions/t/n/f/.f-3.levels.xml",
        "-Dpulsar.function.log.dir=/logs/functions/t/n/f",
        "-Dpulsar.function.log.file=f-3",
        "-Dio.netty.tryReflectionSetAccessible=true",
        "-Dorg.apache.pulsar.shade.io.netty.tryReflectionSetAccessible=true",
        "-Dio.grpc.netty.shaded.io.netty.tryReflectionSetAccessible=true",
        *("--add-opens", "java.base/java.nio=ALL-UNNAMED"),
        *("--add-opens", "java.base/jdk.internal.misc=ALL-UNNAMED"),
        *("--add-opens", "java.base/java.util.zip=ALL-UNNAMED"),
        "-Dx=a b",
        "-ea",
        "-Xmx1073741824",
        "org.apache.pulsar.functions.instance.JavaInstanceMain",
        *("--jar", "/f/my.jar"),
        *("--instance_id", "3", "--function_id", "id", "--function_version", "version"),
        "--function_details",
        (
            '\'{"className":"a.B","name":"f","namespace":"n","resources":{"ram":"1073741824"},'
            '"runtimeFlags":"-Dx=\\"a b\\" -ea","tenant":"t"}\''
        ),
        *("--pulsar_serviceurl", "pulsar://localhost:6650"),
        *("--max_buffered_tuples", "1024", "--port", "1001", "--metrics_port", "1002"),
        *("--pending_async_requests", "1000", "--expected_healthcheck_interval", "30"),
        *("--secrets_provider", "org.apache.pulsar.functions.secretsprovider.ClearTextSecretsProvider"),
        *("--cluster_name", "alone"),
    ]


def _fields(details: FunctionDetails) -> dict[str, object]:
    return {field.name: value for field, value in details.ListFields()}


def test_everything_optional_has_its_place() -> None:
    """Extra dependencies, the admin client, credentials, state and connectors' directory are told as Pulsar tells them."""
    settings = replace(
        SETTINGS,
        extra_dependencies=Path("/deps"),
        state_storage_url="bk://h:4181",
    )
    java = replace(
        JAVA, additional_arguments=("-Dq=1",), web_service_url="http://h", nar_extraction_directory="/nar",
        ignore_unknown_config_fields=True,
    )  # fmt: skip
    command = argv(settings, java, place=replace(PLACE, credentials=Credentials("plugin", "token:x")))
    assert command[command.index("-cp") + 1] == "/pulsar/java-instance.jar:/deps/*"
    assert command[command.index("-cp") + 2] == "-Dpulsar.functions.extra.dependencies.dir=/deps"
    assert command.index("-Dq=1") < command.index("-Xmx1073741824")
    tail = command[command.index("--pulsar_serviceurl") + 2 :]
    names = [argument for argument in tail if argument.startswith("--")]
    assert names == [
        *("--web_serviceurl", "--expose_pulsaradmin", "--client_auth_plugin", "--client_auth_params", "--use_tls"),
        *("--tls_allow_insecure", "--hostname_verification_enabled", "--max_buffered_tuples", "--port"),
        *("--metrics_port", "--pending_async_requests", "--ignore_unknown_config_fields", "--state_storage_serviceurl"),
        *("--expected_healthcheck_interval", "--secrets_provider", "--cluster_name", "--nar_extraction_directory"),
    ]


def test_pulsar_2_8_gets_no_flags_of_newer_javas() -> None:
    """Its own worker passes none, and Java 8 would refuse them."""
    command = argv(java=replace(JAVA, find=lambda: OLD, release=lambda _: 8))
    assert "--add-opens" not in command
    assert not any("tryReflection" in argument for argument in command)


def test_fields_that_an_old_instance_does_not_know_are_refused_by_name() -> None:
    """Its parser would end it."""
    details = FunctionDetails(name="f", processingGuarantees=MANUAL)
    JavaLanguage(SETTINGS, JAVA).admit(details)
    with pytest.raises(RefusedError, match=r"MANUAL needs .* 2\.11 .* 2\.8\.1"):
        JavaLanguage(SETTINGS, replace(JAVA, find=lambda: OLD)).admit(details)


@pytest.mark.parametrize(
    ("java", "details", "sentence"),
    [
        (replace(JAVA, program=lambda: None), DETAILS, "there is no `java` .* install Java 17"),
        (replace(JAVA, release=lambda _: 11), DETAILS, "needs Java 17 or newer, and /bin/java is Java 11"),
        (replace(JAVA, host_memory=2**20), DETAILS, "resources.ram: 1073741824 .* has 1048576 bytes"),
        (JAVA, FunctionDetails(runtimeFlags='-Da="b'), "runtimeFlags: .* close what was opened"),
    ],
    ids=["no Java", "old Java", "heap", "flags"],
)
def test_what_this_host_cannot_run_is_refused(java: JavaSettings, details: FunctionDetails, sentence: str) -> None:
    """The refusal says what to change."""
    with pytest.raises(RefusedError, match=sentence):
        JavaLanguage(SETTINGS, java).admit(details)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (class_file("a/B", release=21), r"className 'a\.B' is built for Java 21, and this worker's is Java 17"),
        (class_file("a/B", calls=[("org/apache/pulsar/functions/api/Context", "incrCounter")]), "uses state.*bk://"),
    ],
    ids=["newer Java", "state"],
)
def test_a_class_that_cannot_run_here_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """What the class file says is known before it is started."""
    with zipfile.ZipFile(tmp_path / "f.jar", "w") as archive:
        archive.writestr("a/B.class", content)
    with pytest.raises(RefusedError, match=sentence):
        JavaLanguage(SETTINGS, JAVA).admit(DETAILS, tmp_path / "f.jar")


def test_state_is_allowed_where_bookkeeper_is(tmp_path: Path) -> None:
    """Its URL begins with bk://."""
    with zipfile.ZipFile(tmp_path / "f.jar", "w") as archive:
        archive.writestr(
            "a/B.class", class_file("a/B", calls=[("org/apache/pulsar/functions/api/Context", "getState")])
        )
    settings = replace(SETTINGS, state_storage_url="bk://localhost:4181")
    assert JavaLanguage(settings, JAVA).admit(DETAILS, tmp_path / "f.jar") == NEW


def test_a_collector_of_the_users_stands_alone() -> None:
    """The JVM refuses two collectors, and an initial heap above the greatest."""
    assert "-XX:+UseSerialGC" in quick_start(None, [], 0)
    assert "-XX:+UseSerialGC" not in quick_start(None, ["-XX:+UseZGC"], 0)
    assert not any(flag.startswith("-Xms") for flag in quick_start(None, [], 2**20))
    assert "-XX:SharedArchiveFile=/a.jsa" in quick_start(Path("/a.jsa"), [], 0)


def test_what_java_prints_goes_beside_its_log() -> None:
    """Log4j writes the log file itself."""
    launch = JavaLanguage(SETTINGS, JAVA).launch(spec(), PLACE)
    assert launch.output == Path("/logs/functions/t/n/f/f-3.out")
    assert launch.environment == {"PATH": "/bin"}
