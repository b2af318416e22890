import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.process.go import GoLanguage
from magnetar.runtimes.process.launch import Place
from magnetar.runtimes.process.settings import Credentials, ProcessSettings
from magnetar_instance.proto.function import (
    EARLIEST,
    ConsumerSpec,
    FunctionDetails,
    Resources,
    RetryDetails,
    SinkSpec,
    SourceSpec,
)

PLACE = Place(Path("/f/double"), 1001, 1002, Path("/logs/functions/t/n/f/f-3.log"))
DETAILS = FunctionDetails(
    tenant="t",
    namespace="n",
    name="f",
    runtime=FunctionDetails.GO,
    autoAck=True,
    userConfig='{"a":1}',
    parallelism=4,
    source=SourceSpec(
        inputSpecs={"in": ConsumerSpec(isRegexPattern=True)}, timeoutMs=30, subscriptionPosition=EARLIEST
    ),
    sink=SinkSpec(topic="out"),
    resources=Resources(cpu=1.5, ram=2**30, disk=3),
    retryDetails=RetryDetails(maxMessageRetries=2, deadLetterTopic="dead"),
)
KEYS_OF_2_8 = [
    "pulsarServiceURL",
    "instanceID",
    "funcID",
    "funcVersion",
    "maxBufTuples",
    "port",
    "clusterName",
    "killAfterIdleMs",
    "expectedHealthCheckInterval",
    "tenant",
    "nameSpace",
    "name",
    "className",
    "logTopic",
    "processingGuarantees",
    "secretsMap",
    "userConfig",
    "runtime",
    "autoAck",
    "parallelism",
    "subscriptionType",
    "timeoutMs",
    "subscriptionName",
    "cleanupSubscription",
    "sourceSpecsTopic",
    "sourceSchemaType",
    "sinkSchemaType",
    "isRegexPatternSubscription",
    "receiverQueueSize",
    "sinkSpecsTopic",
    "cpu",
    "ram",
    "disk",
    "maxMessageRetries",
    "deadLetterTopic",
    "metricsPort",
]
KEYS_OF_4 = [
    "stateStorageServiceUrl",
    "pulsarWebServiceUrl",
    "clientAuthenticationPlugin",
    "clientAuthenticationParameters",
    "tlsTrustCertsFilePath",
    "tlsHostnameVerificationEnable",
    "tlsAllowInsecureConnection",
    "subscriptionPosition",
    "sourceInputSpecs",
    "functionDetails",
]


def conf(credentials: Credentials | None = None, **changes: Any) -> dict[str, Any]:
    settings = ProcessSettings("pulsar://h:1", "alone", Path("/logs"), {"PATH": "/bin"}, **changes)
    launch = GoLanguage(settings).launch(
        InstanceSpec(DETAILS, 3, PLACE.package, "id", "version"), replace(PLACE, credentials=credentials)
    )
    assert list(launch.argv[:2]) == ["/f/double", "-instance-conf"]
    assert launch.output == PLACE.log_file
    return json.loads(launch.argv[2])


def test_a_go_instance_gets_the_keys_of_every_version() -> None:
    """Those of Pulsar 2.8 and those that came with 4.x; each version passes over what it does not know."""
    assert sorted(conf()) == sorted(KEYS_OF_2_8 + KEYS_OF_4)


def test_numbers_are_numbers_and_documents_are_text() -> None:
    """Go's reader wants 64-bit numbers unquoted, and nested documents as strings."""
    found = conf()
    assert found["ram"] == 2**30
    assert found["timeoutMs"] == 30
    assert (found["runtime"], found["subscriptionPosition"], found["parallelism"]) == (3, 1, 4)
    assert found["userConfig"] == '{"a":1}'
    assert json.loads(found["sourceInputSpecs"]["in"]) == {"isRegexPattern": True}
    assert json.loads(found["functionDetails"])["resources"]["ram"] == str(2**30)
    assert (found["sourceSpecsTopic"], found["isRegexPatternSubscription"]) == ("in", True)
    assert (found["maxMessageRetries"], found["deadLetterTopic"]) == (2, "dead")


def test_the_watchdog_is_told_its_interval() -> None:
    """A Go instance must not outlive its worker; Pulsar's worker leaves the interval at 0, which is never."""
    assert conf(health_check_interval=7)["expectedHealthCheckInterval"] == 7
    assert conf(health_check_interval=-1)["expectedHealthCheckInterval"] == 0


def test_credentials_are_told() -> None:
    """A token and the trusted certificates reach the instance."""
    found = conf(credentials=Credentials("plugin", "token:x", tls_trust_cert_path="/ca.pem"))
    assert found["clientAuthenticationParameters"] == "token:x"
    assert found["tlsTrustCertsFilePath"] == "/ca.pem"
