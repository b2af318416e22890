"""Launches of Go instances: a binary of the user's and one JSON document, with the keys of Pulsar 2.8 and of 4.x. Pure."""

import json
from dataclasses import dataclass
from pathlib import Path

from magnetar_instance.proto.function import FunctionDetails

from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.json_text import stable_json
from magnetar.runtimes.process.command import MAX_BUFFERED_TUPLES, details_json
from magnetar.runtimes.process.launch import Launch, Place, health_interval
from magnetar.runtimes.process.settings import Credentials, ProcessSettings

Conf = dict[str, str | int | float | bool | dict[str, str] | None]


@dataclass(frozen=True)
class GoLanguage:
    """Go functions, as `settings` say; `web_service_url` is told to them where the worker exposes its admin client."""

    settings: ProcessSettings
    web_service_url: str = ""

    def admit(self, details: FunctionDetails, package: Path) -> None:
        """Admit every function: what can be judged before a start was judged with its package."""

    @property
    def can_wait(self) -> bool:
        """False: Pulsar's library subscribes as soon as it runs."""
        return False

    def launch(self, spec: InstanceSpec, place: Place) -> Launch:
        """Return how to start an instance; what it prints is its log."""
        conf = go_conf(self.settings, spec, place, web_service_url=self.web_service_url)
        return Launch(
            argv=[str(place.package), "-instance-conf", json.dumps(conf, separators=(",", ":"))],
            environment=dict(self.settings.environment),
            output=place.log_file,
            health_interval=health_interval(self.settings.health_check_interval),
            stacks_end_it=True,
        )


def go_conf(settings: ProcessSettings, spec: InstanceSpec, place: Place, *, web_service_url: str = "") -> Conf:
    """Return the configuration of a Go instance; a key that its version does not know is passed over by it.

    Unlike Pulsar's worker this one tells the watchdog its interval: an instance whose worker is gone must end.
    """
    return {
        "pulsarServiceURL": settings.pulsar_service_url,
        "stateStorageServiceUrl": settings.state_storage_url,
        "pulsarWebServiceUrl": web_service_url,
        "instanceID": spec.instance_id,
        "funcID": spec.function_id,
        "funcVersion": spec.function_version,
        "maxBufTuples": MAX_BUFFERED_TUPLES,
        "port": place.port,
        "metricsPort": place.metrics_port,
        "clusterName": settings.cluster_name,
        "killAfterIdleMs": 0,
        "expectedHealthCheckInterval": max(0, settings.health_check_interval),
        **_credentials(place.credentials),
        **_function(spec.details),
        **_input(spec.details),
        "functionDetails": details_json(spec),
    }


def _function(details: FunctionDetails) -> Conf:
    return {
        "tenant": details.tenant,
        "nameSpace": details.namespace,
        "name": details.name,
        "className": details.className,
        "logTopic": details.logTopic,
        "processingGuarantees": details.processingGuarantees,
        "secretsMap": details.secretsMap,
        "userConfig": details.userConfig,
        "runtime": details.runtime,
        "autoAck": details.autoAck,
        "parallelism": details.parallelism,
        "sinkSpecsTopic": details.sink.topic,
        "sinkSchemaType": details.sink.schemaType,
        "cpu": details.resources.cpu,
        "ram": details.resources.ram,
        "disk": details.resources.disk,
        "maxMessageRetries": details.retryDetails.maxMessageRetries,
        "deadLetterTopic": details.retryDetails.deadLetterTopic,
    }


def _input(details: FunctionDetails) -> Conf:
    source = details.source
    specs = {topic: stable_json(each) for topic, each in sorted(source.inputSpecs.items())}
    # Instances of 2.8 read one topic, from here; it is the last one for Pulsar's worker, too.
    topic = next(reversed(specs), "")
    one = source.inputSpecs[topic] if topic else None
    return {
        "subscriptionType": source.subscriptionType,
        "timeoutMs": source.timeoutMs,
        "subscriptionName": source.subscriptionName,
        "cleanupSubscription": source.cleanupSubscription,
        "subscriptionPosition": source.subscriptionPosition,
        "sourceInputSpecs": specs,
        "sourceSpecsTopic": topic,
        "sourceSchemaType": one.schemaType if one else "",
        "isRegexPatternSubscription": bool(one and one.isRegexPattern),
        "receiverQueueSize": one.receiverQueueSize.value if one else 0,
    }


def _credentials(credentials: Credentials | None) -> Conf:
    known = credentials or Credentials()
    return {
        "clientAuthenticationPlugin": known.plugin,
        "clientAuthenticationParameters": known.parameters,
        "tlsTrustCertsFilePath": known.tls_trust_cert_path,
        "tlsHostnameVerificationEnable": known.hostname_verification,
        "tlsAllowInsecureConnection": known.tls_allow_insecure,
    }
