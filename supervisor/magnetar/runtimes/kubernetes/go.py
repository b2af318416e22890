"""The JSON that a Go instance is started with. Pure."""

from typing import Any

from magnetar_instance.proto.function import FunctionDetails

from magnetar.runtimes.kubernetes.json_text import stable_json
from magnetar.runtimes.process.settings import Credentials

ORDINAL = "@ordinal@"
"""Stands for the instance's number, which only the pod knows."""
_MAX_BUFFERED_TUPLES = 1024


def instance_conf(
    details: FunctionDetails,
    *,
    identity: tuple[str, str],
    broker_url: str,
    cluster: str,
    ports: tuple[int, int],
    credentials: Credentials | None,
    state_storage_url: str = "",
) -> dict[str, Any]:
    """Return the document in the keys of Pulsar 4.x; 2.8 reads those it knows and passes over the rest."""
    function_id, function_version = identity
    return {
        "pulsarServiceURL": broker_url,
        "stateStorageServiceUrl": state_storage_url,
        "instanceID": ORDINAL,
        "funcID": function_id,
        "funcVersion": function_version,
        "maxBufTuples": _MAX_BUFFERED_TUPLES,
        "port": ports[0],
        "metricsPort": ports[1],
        "clusterName": cluster,
        "killAfterIdleMs": 0,
        "expectedHealthCheckInterval": 0,
        **_function(details),
        **_source(details),
        **_sink(details),
        **_credentials(credentials),
        "functionDetails": stable_json(details),
    }


def _function(details: FunctionDetails) -> dict[str, Any]:
    return {
        "tenant": details.tenant,
        "nameSpace": details.namespace,
        "name": details.name,
        "className": "",
        "logTopic": details.logTopic,
        "processingGuarantees": int(details.processingGuarantees),
        "secretsMap": details.secretsMap,
        "userConfig": details.userConfig,
        "runtime": int(details.runtime),
        "autoAck": details.autoAck,
        "parallelism": details.parallelism,
        "cpu": details.resources.cpu,
        "ram": details.resources.ram,
        "disk": details.resources.disk,
        "maxMessageRetries": details.retryDetails.maxMessageRetries,
        "deadLetterTopic": details.retryDetails.deadLetterTopic,
    }


def _source(details: FunctionDetails) -> dict[str, Any]:
    source = details.source
    topics = sorted(source.inputSpecs)
    return {
        "subscriptionType": 0,
        "timeoutMs": source.timeoutMs,
        "subscriptionName": source.subscriptionName,
        "cleanupSubscription": source.cleanupSubscription,
        "subscriptionPosition": int(source.subscriptionPosition),
        "sourceInputSpecs": {topic: stable_json(spec) for topic, spec in sorted(source.inputSpecs.items())},
        "sourceSpecsTopic": topics[-1] if topics else "",
        "sourceSchemaType": "",
        "isRegexPatternSubscription": False,
        "receiverQueueSize": 0,
    }


def _sink(details: FunctionDetails) -> dict[str, Any]:
    return {"sinkSpecsTopic": details.sink.topic, "sinkSchemaType": ""}


def _credentials(credentials: Credentials | None) -> dict[str, Any]:
    if credentials is None:
        return {}
    return {
        "clientAuthenticationPlugin": credentials.plugin,
        "clientAuthenticationParameters": credentials.parameters,
        "tlsTrustCertsFilePath": credentials.tls_trust_cert_path,
        "tlsHostnameVerificationEnable": credentials.hostname_verification,
        "tlsAllowInsecureConnection": credentials.tls_allow_insecure,
    }
