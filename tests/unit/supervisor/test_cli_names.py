"""The names of pulsar-admin's commands and options, which users have in scripts."""

import pytest
from magnetar.cli.lazy import load
from magnetar.cli.tree import ROOT, Branch

_NAME = "--tenant --namespace --name --fqfn"
_FUNCTION = f"""{_NAME} --classname --className --function-type -t --cleanup-subscription --jar --py --go --inputs -i
--topics-pattern --topicsPattern --output -o --producer-config --log-topic --logTopic --schema-type -st --custom-serde-inputs
--customSerdeInputs --custom-schema-inputs --custom-schema-outputs --input-specs --input-type-class-name
--output-serde-classname --outputSerdeClassName --output-type-class-name --function-config-file --functionConfigFile
--processing-guarantees --processingGuarantees --user-config --userConfig --retain-ordering --retainOrdering
--retain-key-ordering --batch-builder --forward-source-message-property --subs-name --subs-position --skip-to-latest
--parallelism --cpu --ram --disk --window-length-count --windowLengthCount --window-length-duration-ms
--windowLengthDurationMs --sliding-interval-count --slidingIntervalCount --sliding-interval-duration-ms
--slidingIntervalDurationMs --auto-ack --autoAck --timeout-ms --timeoutMs --max-message-retries --custom-runtime-options
--secrets --dead-letter-topic"""
_LOCALRUN = """--broker-service-url --brokerServiceUrl --client-auth-plugin --clientAuthPlugin --client-auth-params
--clientAuthParams
--use-tls --use_tls --tls-allow-insecure --tls_allow_insecure --hostname-verification-enabled
--hostname_verification_enabled --tls-trust-cert-path --tls_trust_cert_path --instance-id-offset --instanceIdOffset"""
_INSTANCE = f"{_NAME} --instance-id"

FUNCTIONS = {
    "create": _FUNCTION,
    "update": f"{_FUNCTION} --update-auth-data",
    "localrun": f"{_FUNCTION} {_LOCALRUN}",
    "get": _NAME,
    "delete": _NAME,
    "list": "--tenant --namespace",
    "start": _INSTANCE,
    "stop": _INSTANCE,
    "restart": _INSTANCE,
    "status": _INSTANCE,
    "getstatus": _INSTANCE,
    "stats": _INSTANCE,
    "querystate": f"{_NAME} --key -k --watch -w",
    "putstate": f"{_NAME} --state -s",
    "trigger": f"{_NAME} --trigger-value --triggerValue --trigger-file --triggerFile --topic",
    "upload": "--source-file --sourceFile --path",
    "download": f"{_NAME} --destination-file --destinationFile --path",
    "available-functions": "",
    "reload": "",
}
WORKERS = "function-stats monitoring-metrics get-cluster get-cluster-leader get-function-assignments rebalance"


def branch(name: str) -> Branch:
    found = ROOT.children[name]
    assert isinstance(found, Branch)
    return found


@pytest.mark.parametrize("command", FUNCTIONS)
def test_each_option_of_pulsar_admin_works(command: str) -> None:
    """Those of 2.8 and 4.x, older spellings too."""
    found = {name for param in load(command, branch("functions").children[command]).params for name in param.opts}
    assert set(FUNCTIONS[command].split()) - found == set()


def test_each_command_about_workers_is_there() -> None:
    """As in pulsar-admin's functions-worker."""
    assert set(WORKERS.split()) - branch("functions-worker").children.keys() == set()
