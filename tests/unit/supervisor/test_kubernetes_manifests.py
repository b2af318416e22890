import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from magnetar.config.runtime_keys import KubernetesRuntimeConfig
from magnetar.errors import RefusedError
from magnetar.model.kubernetes_options import KubernetesOptions
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.kubernetes.auth import (
    KubernetesSecretsTokenAuthProvider,
    KubernetesServiceAccountTokenAuthProvider,
    auth_spec,
)
from magnetar.runtimes.kubernetes.customizer import BasicKubernetesManifestCustomizer
from magnetar.runtimes.kubernetes.objects.manifests import CONTAINER, Extensions, Objects, build
from magnetar.runtimes.kubernetes.objects.shell import literally
from magnetar.runtimes.kubernetes.secrets import KubernetesSecrets
from magnetar.runtimes.kubernetes.settings import KubernetesSettings
from magnetar.runtimes.process.settings import Credentials
from magnetar_instance.proto.function import FunctionAuthenticationSpec, FunctionDetails, PackageLocationMetaData

GOLDEN = Path(__file__).parents[2] / "golden" / "kubernetes"
WORKER = Credentials("org.apache.pulsar.client.impl.auth.AuthenticationToken", "token:worker", use_tls=True)


def details(**changes: Any) -> FunctionDetails:
    made = FunctionDetails(
        tenant="public",
        namespace="default",
        name="shout",
        className="shout.Shout",
        runtime=FunctionDetails.PYTHON,
        componentType=FunctionDetails.FUNCTION,
        parallelism=2,
        autoAck=True,
    )
    made.source.inputSpecs["persistent://public/default/in"].schemaType = "STRING"
    made.source.subscriptionName = "public/default/shout"
    made.sink.topic = "persistent://public/default/out"
    made.resources.cpu, made.resources.ram = 0.5, 256 << 20
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def settings(own: KubernetesOptions | None = None, *, shaped: bool = False, **keys: Any) -> KubernetesSettings:
    return KubernetesSettings(
        keys=KubernetesRuntimeConfig.model_validate(keys),
        cluster="standalone",
        service_url="pulsar://broker:6650",
        admin_url="http://worker:6750",
        own=own or KubernetesOptions(),
        functions_may_shape_pods=shaped,
        credentials=keys.get("credentials"),
    )


def spec(
    made: FunctionDetails | None = None, auth: FunctionAuthenticationSpec | None = None, file: str = "shout.py"
) -> FunctionSpec:
    return FunctionSpec(
        made or details(), PackageLocationMetaData(packagePath="function://p", originalFileName=file), auth
    )


def objects(
    made: FunctionDetails | None = None,
    config: KubernetesSettings | None = None,
    extensions: Extensions | None = None,
    **rest: Any,
) -> Objects:
    return build(config or settings(), spec(made, **rest), extensions or Extensions())


def container(made: Objects) -> dict[str, Any]:
    found: dict[str, Any] = made.stateful_set["spec"]["template"]["spec"]["containers"][0]
    return found


def template(made: Objects) -> dict[str, Any]:
    found: dict[str, Any] = made.stateful_set["spec"]["template"]
    return found


def go_details() -> FunctionDetails:
    return details(runtime=FunctionDetails.GO, name="gopher", className="")


def java_details() -> FunctionDetails:
    return details(runtime=FunctionDetails.JAVA, runtimeFlags="-XX:+UseZGC", className="org.acme.Shout")


CASES: dict[str, Callable[[], Objects]] = {
    "python": objects,
    "java": lambda: objects(java_details(), settings(narExtractionDirectory="/tmp/nar"), file="shout.jar"),
    "go": lambda: objects(go_details(), settings(functionDockerImages={"GO": "acme/go:1"}), file="gopher"),
    "sink-with-everything": lambda: objects(
        details(
            componentType=FunctionDetails.SINK,
            name="Sink_1",
            secretsMap=json.dumps({"PASSWORD": {"path": "db", "key": "password"}}),
            customRuntimeOptions=json.dumps(
                {
                    "jobNamespace": "functions",
                    "extractLabels": {"team": "billing"},
                    "nodeSelectorLabels": {"disk": "ssd"},
                    "tolerations": [{"key": "gpu", "operator": "Exists"}],
                    "resourceRequirements": {"limits": {"cpu": "2"}},
                    "magnetar": {"kubernetes": {"podDisruptionBudget": {"maxUnavailable": 1}, "probes": True}},
                }
            ),
        ),
        KubernetesSettings(
            keys=KubernetesRuntimeConfig.model_validate(
                {
                    "customLabels": {"app": "pulsar functions"},
                    "cpuOverCommitRatio": 2,
                    "memoryOverCommitRatio": 3,
                    "installUserCodeDependencies": True,
                    "pythonDependencyRepository": "http://index/simple",
                    "pulsarRootDir": "/opt/pulsar",
                    "configAdminCLI": "/bin/pulsarctl",
                    "imagePullPolicy": "Always",
                    "grpcPort": 7093,
                    "metricsPort": 7094,
                }
            ),
            cluster="eu",
            service_url="pulsar+ssl://broker:6651",
            admin_url="https://worker:6751",
            credentials=WORKER,
            own=KubernetesOptions(terminationGracePeriodSeconds=30),
        ),
        Extensions(
            customizer=BasicKubernetesManifestCustomizer({"extraLabels": {"team": "core", "stage": "prod"}}),
            auth=KubernetesSecretsTokenAuthProvider(),
            secrets=KubernetesSecrets(),
            certificates=True,
        ),
        auth=auth_spec("pf-secret-ab1cd"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_objects_are_those_of_the_golden_files(name: str) -> None:
    """A change of what is sent to Kubernetes is a change of a file that a reviewer sees; GOLDEN=write writes them."""
    file = GOLDEN / f"{name}.yaml"
    text = yaml.safe_dump_all(CASES[name]().all(), sort_keys=False, width=120)
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def run_command(made: Objects, folder: Path, package: str) -> list[str]:
    """Run a pod's command with stand-ins for the download tool and the instance; return the instance's arguments."""
    root = folder / "pulsar"
    for path in ("bin/pulsar-admin", "bin/python3", "bin/java"):
        tool = root / path
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.write_text('#!/bin/sh\nfor word in "$@"; do printf "%s\\0" "$word"; done > "$OUT/$(basename "$0")"\n')
        tool.chmod(0o755)
    file = folder / "pulsar" / package
    file.write_text((root / "bin/java").read_text())
    command = container(made)["command"]
    assert command[:2] == ["sh", "-c"]
    environment = {"PATH": f"{root}/bin:/usr/bin:/bin", "POD_NAME": "pf-public-default-shout-7", "OUT": str(folder)}
    expanded = command[2].replace("$$", "$")
    subprocess.run(["/bin/sh", "-c", expanded], env=environment, check=True, timeout=20)
    ran = next(folder / name for name in ("python3", "java", package) if (folder / name).exists())
    return ran.read_text().split("\0")[:-1]


@pytest.mark.parametrize(("runtime", "package"), [("PYTHON", "a b.py"), ("JAVA", "x.jar"), ("GO", "gopher")])
def test_no_name_or_config_reaches_the_shell(tmp_path: Path, runtime: str, package: str) -> None:
    """Quotes, dollars and semicolons of users arrive at the instance as they were written; the ordinal is filled in."""
    hostile = 'it\'s $(touch hacked) `id` "q" ; $HOME $$ $(POD_NAME)'
    made = details(
        runtime=FunctionDetails.Runtime.Value(runtime),
        userConfig=json.dumps({"text": hostile}),
        logTopic="persistent://public/default/a b;c",
    )
    config = settings(pulsarRootDir=str(tmp_path / "pulsar"), pulsarServiceUrl="pulsar://h:1/$(x)")
    arguments = run_command(objects(made, config, file=package), tmp_path, package.replace(" ", "_"))
    if runtime == "GO":
        conf = json.loads(arguments[1])
        assert conf["instanceID"] == 7
        assert json.loads(conf["userConfig"])["text"] == hostile
        return
    assert arguments[arguments.index("--instance_id") + 1] == "7"
    assert arguments[arguments.index("--pulsar_serviceurl") + 1] == "pulsar://h:1/$(x)"
    sent = json.loads(arguments[arguments.index("--function_details") + 1])
    assert json.loads(sent["userConfig"])["text"] == hostile
    assert sent["logTopic"] == "persistent://public/default/a b;c"
    assert not (tmp_path / "hacked").exists()


def test_kubernetes_own_expansion_is_escaped() -> None:
    """Kubernetes replaces $(NAME) and halves $$ before a shell sees a command: both are doubled, ${NAME} is left alone."""
    assert literally("$(A) $$x ${B}") == "$$(A) $$$x ${B}"


def test_the_download_asks_the_workers_rest_api() -> None:
    """The admin address is the worker's, or what pulsarAdminUrl says."""
    assert "--admin-url http://worker:6750 functions download" in container(objects())["command"][2]
    other = objects(config=settings(pulsarAdminUrl="http://proxy:8080"))
    assert "--admin-url http://proxy:8080 " in container(other)["command"][2]


def test_credentials_are_handed_over_only_when_the_worker_authenticates() -> None:
    """Without authentication neither flag nor volume appears, whatever the function's metadata hold."""
    extensions = Extensions(auth=KubernetesSecretsTokenAuthProvider())
    plain = build(settings(), spec(auth=auth_spec("pf-secret-ab1cd")), extensions)
    assert "--client_auth_plugin" not in container(plain)["command"][2]
    secure = KubernetesSettings(settings().keys, "c", "pulsar://b:1", "http://w:1", credentials=WORKER)
    with_token = build(secure, spec(auth=auth_spec("pf-secret-ab1cd")), extensions)
    command = container(with_token)["command"][2]
    assert command.count("file:///etc/auth/token") == 2
    assert "token:worker" not in command
    without = build(secure, spec(), extensions)
    assert "--client_auth_plugin" not in container(without)["command"][2]
    assert "volumes" not in template(without)["spec"]


def test_the_tokens_volume_leaves_others_alone() -> None:
    """Volumes that a pod template brings stay beside the Secret (Pulsar replaces them)."""
    own = KubernetesOptions.model_validate(
        {
            "podTemplate": {
                "spec": {
                    "volumes": [{"name": "cache", "emptyDir": {}}],
                    "containers": [{"name": CONTAINER, "volumeMounts": [{"name": "cache", "mountPath": "/cache"}]}],
                    "serviceAccountName": "shouter",
                }
            }
        }
    )
    config = KubernetesSettings(settings().keys, "c", "pulsar://b:1", "http://w:1", credentials=WORKER, own=own)
    extensions = Extensions(auth=KubernetesSecretsTokenAuthProvider())
    pod = template(build(config, spec(auth=auth_spec("pf-secret-ab1cd")), extensions))["spec"]
    assert [volume["name"] for volume in pod["volumes"]] == ["function-auth", "cache"]
    assert [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]] == ["/etc/auth", "/cache"]
    assert pod["serviceAccountName"] == "shouter"
    assert pod["containers"][0]["command"]


def test_a_service_accounts_token_and_certificates_share_one_volume() -> None:
    """Two volumes on one path are refused by the API server; one projected volume holds both."""
    provider = KubernetesServiceAccountTokenAuthProvider(
        {"brokerClientTrustCertsSecretName": "ca", "serviceAccountTokenExpirationSeconds": 3600}
    )
    secure = KubernetesSettings(settings().keys, "c", "pulsar://b:1", "http://w:1", credentials=WORKER)
    pod = template(build(secure, spec(), Extensions(auth=provider)))["spec"]
    [volume] = pod["volumes"]
    assert [list(source) for source in volume["projected"]["sources"]] == [["serviceAccountToken"], ["secret"]]
    assert len(pod["containers"][0]["volumeMounts"]) == 1
    with pytest.raises(RefusedError, match=r"kubernetesFunctionAuthProviderConfig\.serviceAccountTokenExpiration"):
        KubernetesServiceAccountTokenAuthProvider({"serviceAccountTokenExpirationSeconds": "soon"})


def test_a_change_of_scale_changes_the_replicas_alone() -> None:
    """The pods' template, which tells instances the parallelism, stays as the running pods were told it."""
    two = objects()
    applied: Mapping[str, str] = two.stateful_set["metadata"]["annotations"]
    five = build(settings(), spec(details(parallelism=5)), Extensions(), applied)
    assert five.stateful_set["spec"]["replicas"] == 5
    assert template(five) == template(two)
    changed = build(settings(), spec(details(parallelism=5, userConfig='{"a":1}')), Extensions(), applied)
    assert '"parallelism":5' in container(changed)["command"][2]


def test_the_same_function_gives_the_same_objects() -> None:
    """A restarted worker makes what runs already, ids included."""
    assert objects().all() == objects().all()
    moved = build(
        settings(), FunctionSpec(details(), PackageLocationMetaData(packagePath="function://q")), Extensions()
    )
    assert moved.stateful_set["metadata"]["annotations"] != objects().stateful_set["metadata"]["annotations"]


def test_the_functions_options_win_over_the_customizers_and_leak_to_no_other() -> None:
    """Labels, names and resources of one function are its own; the worker's apply to the next one as before."""
    customizer = BasicKubernetesManifestCustomizer(
        {"jobName": "jobs", "extraLabels": {"team": "core"}, "resourceRequirements": {"limits": {"cpu": "4"}}}
    )
    mine = json.dumps(
        {"jobName": "mine", "extraLabels": {"team": "me"}, "resourceRequirements": {"limits": {"cpu": "1"}}}
    )
    extensions = Extensions(customizer=customizer)
    own = objects(details(customRuntimeOptions=mine), extensions=extensions)
    other = objects(extensions=extensions)
    assert own.name.startswith("mine-")
    assert own.service["metadata"]["labels"]["team"] == "me"
    assert container(own)["resources"]["limits"]["cpu"] == "1"
    assert other.name.startswith("jobs-")
    assert other.service["metadata"]["labels"]["team"] == "core"
    assert container(other)["resources"]["limits"]["cpu"] == "4"
    assert "team" not in own.stateful_set["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("not json", "customRuntimeOptions is not JSON"),
        ('{"extraLabels": 3}', r"customRuntimeOptions\.extraLabels"),
        ('{"tolerations": {"key": "a"}}', r"customRuntimeOptions\.tolerations"),
        ('{"magnetar": {"kubernetes": {"podTemplate": {"spec": {}}}}}', "kubernetesPodTemplates has to be true"),
        ('{"magnetar": {"kubernetes": {"probe": true}}}', "did you mean 'probes'|probes"),
        ('{"magnetar": {"kubernetes": {"autoscaler": {"maxReplicas": 0}}}}', "maxReplicas is 0"),
    ],
)
def test_bad_options_are_refused_by_name(options: str, message: str) -> None:
    """The sentence names the option and says what is wrong with it."""
    with pytest.raises(RefusedError, match=message):
        objects(
            details(customRuntimeOptions=options),
            extensions=Extensions(customizer=BasicKubernetesManifestCustomizer({})),
        )


def test_an_autoscaler_owns_the_number_of_replicas() -> None:
    """The StatefulSet then names no replicas, so that applying it again does not undo the scaling."""
    made = objects(config=settings(KubernetesOptions.model_validate({"autoscaler": {"maxReplicas": 9}})))
    assert "replicas" not in made.stateful_set["spec"]
    [scaler] = made.extras
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 9)


def test_probes_ask_the_instances_grpc_health() -> None:
    """All three probes go to the gRPC port, and only where they were asked for: Pulsar's instances serve no health."""
    probed = container(objects(config=settings(KubernetesOptions(probes=True))))
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert probed[probe]["grpc"] == {"port": 9093}
        assert probe not in container(objects())
