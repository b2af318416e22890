"""For every key of `functions_worker.yml`: honoured, accepted without meaning, or refused; a test walks the table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from magnetar.config.runtime_keys import RUNTIME_FACTORIES
from magnetar.config.security_checks import security_problems
from magnetar.config.security_keys import AUTHORIZATION_PROVIDER
from magnetar.config.worker import chosen_runtime
from magnetar.credentials import CLEAR_TEXT_TOKEN

_JVM = "it tunes a JVM, and this worker has none"
_ZOOKEEPER = "policies are asked of the broker's admin API, not of a metadata store"
_BOOKKEEPER = "packages are kept by the broker's packages API, not in BookKeeper directly"
_HTTP = "requests are served by one event loop, which has no threads or queues to size"
_CONNECTORS = "connectors and builtin functions are not available yet"
_KUBERNETES = "it belongs to the Kubernetes runtime, which this worker does not use"
_STATE = "functions in Python keep state below magnetar.dataDirectory, and BookKeeper's table service can't be used yet"
_KEYSTORE = "give PEM files in tlsCertificateFilePath, tlsKeyFilePath and tlsTrustCertsFilePath instead"
_SASL = "SASL is not available; use token or TLS authentication"
_TUNING = "it serves the purpose of Pulsar's own worker alone"
_SCHEDULER = "org.apache.pulsar.functions.worker.scheduler.RoundRobinScheduler"
_BK_STATE = "org.apache.pulsar.functions.instance.state.BKStateStoreProviderImpl"
_DEFAULT_SECRETS = "org.apache.pulsar.functions.secretsproviderconfigurator.DefaultSecretsProviderConfigurator"

OFF: tuple[Any, ...] = (None, False, "", (), [], {})


@dataclass(frozen=True)
class Verdict:
    """What becomes of a key; `neutral` are values of a refused key that ask for nothing.

    `elsewhere` is what becomes of it where no function may run in Kubernetes.
    """

    kind: Literal["honoured", "meaningless", "refused"]
    why: str = ""
    neutral: tuple[Any, ...] = OFF
    elsewhere: Literal["honoured", "meaningless", "refused"] = "honoured"


@dataclass(frozen=True)
class Findings:
    """Keys of one file that are refused or have no effect, each with its sentence."""

    refused: list[tuple[str, str]] = field(default_factory=list)
    meaningless: list[tuple[str, str]] = field(default_factory=list)


def _honoured(*keys: str) -> dict[str, Verdict]:
    return {key: Verdict("honoured") for key in keys}


def _of_kubernetes(
    elsewhere: Literal["meaningless", "refused"], *keys: str, neutral: tuple[Any, ...] = ()
) -> dict[str, Verdict]:
    return {key: Verdict("honoured", _KUBERNETES, (*OFF, *neutral), elsewhere) for key in keys}


def _meaningless(why: str, *keys: str) -> dict[str, Verdict]:
    return {key: Verdict("meaningless", why) for key in keys}


def _refused(why: str, *keys: str, neutral: tuple[Any, ...] = ()) -> dict[str, Verdict]:
    return {key: Verdict("refused", why, (*OFF, *neutral)) for key in keys}


TABLE: dict[str, Verdict] = {
    **_honoured("workerId", "workerHostname", "workerPort", "magnetar", "properties"),
    **_honoured("pulsarServiceUrl", "pulsarWebServiceUrl", "pulsarFunctionsNamespace", "pulsarFunctionsCluster"),
    **_honoured("functionMetadataTopicName", "clusterCoordinationTopicName", "functionAssignmentTopicName"),
    **_honoured("failureCheckFreqMs", "rescheduleTimeoutMs", "initialBrokerReconnectMaxRetries"),
    **_honoured("instanceLivenessCheckFreqMs", "downloadDirectory", "topicCompactionFrequencySec"),
    **_honoured("brokerClientAuthenticationEnabled"),
    **_honoured("brokerClientAuthenticationPlugin", "brokerClientAuthenticationParameters"),
    **_honoured("clientAuthenticationPlugin", "clientAuthenticationParameters"),
    **_honoured("brokerClientTrustCertsFilePath", "tlsTrustCertsFilePath", "useTls", "tlsAllowInsecureConnection"),
    **_honoured("tlsEnableHostnameVerification", "forwardSourceMessageProperty", "maxPendingAsyncRequests"),
    **_honoured("functionRuntimeFactoryConfigs", "processContainerFactory", "threadContainerFactory"),
    **_refused("only Pulsar's process, thread and Kubernetes factories can be named",
               "functionRuntimeFactoryClassName", neutral=tuple(RUNTIME_FACTORIES)),
    **_refused("only Pulsar's RoundRobinScheduler can be named", "schedulerClassName", neutral=(_SCHEDULER,)),
    **_honoured("rebalanceCheckFreqSec", "useCompactedMetadataTopic"),
    **_honoured("kubernetesContainerFactory"),
    **_of_kubernetes("meaningless", "runtimeCustomizerClassName", "runtimeCustomizerConfig",
                     "functionInstanceMinResources", "functionInstanceMaxResources",
                     "functionInstanceResourceGranularities", "functionInstanceResourceChangeInLockStep"),
    **_of_kubernetes("refused", "functionAuthProviderClassName", "secretsProviderConfiguratorClassName",
                     "secretsProviderConfiguratorConfig", neutral=(_DEFAULT_SECRETS, CLEAR_TEXT_TOKEN)),
    **_honoured("authenticationEnabled", "authorizationEnabled", "authenticationProviders", "superUserRoles",
                "proxyRoles", "anonymousUserRole", "strictAuthMethod", "authenticateMetricsEndpoint"),
    **_refused("only Pulsar's PulsarAuthorizationProvider can be named", "authorizationProvider",
               neutral=(AUTHORIZATION_PROVIDER,)),
    **_honoured("tlsEnabled", "workerPortTls", "tlsCertificateFilePath", "tlsKeyFilePath",
                "tlsRequireTrustedClientCertOnConnect", "tlsCertRefreshCheckDurationSec", "webServiceTlsProtocols",
                "webServiceTlsCiphers"),
    **_refused(_KEYSTORE, "tlsEnabledWithKeyStore", "tlsKeyStore", "tlsTrustStore", "tlsKeyStorePassword",
               "tlsTrustStorePassword"),
    **_meaningless(_KEYSTORE, "tlsKeyStoreType", "tlsTrustStoreType", "tlsProvider", "jsseProvider"),
    **_refused("Java classes for TLS can't be loaded; PEM files are read", "tlsFactoryClassName", "tlsFactoryConfig",
               "brokerClientTlsFactoryClassName", "brokerClientTlsFactoryConfig", neutral=("default",)),
    **_meaningless(_SASL, "saslJaasClientAllowedIds", "saslJaasServerSectionName", "kinitCommand",
                   "saslJaasServerRoleTokenSignerSecretPath"),
    **_meaningless(_ZOOKEEPER, "configurationMetadataStoreUrl", "configurationStoreServers",
                   "metadataStoreSessionTimeoutMillis", "metadataStoreOperationTimeoutSeconds",
                   "metadataStoreCacheExpirySeconds", "metadataStoreAllowReadOnlyOperations",
                   "zooKeeperSessionTimeoutMillis", "zooKeeperOperationTimeoutSeconds",
                   "zooKeeperCacheExpirySeconds", "zooKeeperAllowReadOnlyOperations"),
    **_meaningless(_BOOKKEEPER, "numFunctionPackageReplicas", "initializedDlogMetadata",
                   "functionsWorkerEnablePackageManagement", "bookkeeperClientAuthenticationPlugin",
                   "bookkeeperClientAuthenticationParametersName", "bookkeeperClientAuthenticationParameters"),
    **_meaningless(_HTTP, "numHttpServerThreads", "maxConcurrentHttpRequests", "httpServerThreadPoolQueueSize",
                   "httpServerAcceptQueueSize", "maxHttpServerConnections"),
    **_honoured("httpRequestsLimitEnabled", "httpRequestsMaxPerSecond"),
    **_refused("the proxy protocol is not available yet", "webServiceHaProxyProtocolEnabled"),
    **_refused("forwarded addresses are not read", "webServiceTrustXForwardedFor"),
    **_meaningless("requests are logged in one format", "webServiceLogDetailedAddresses"),
    **_meaningless(_JVM, "jvmGCMetricsLoggerClassName", "includeStandardPrometheusMetrics"),
    **_honoured("additionalJavaRuntimeArguments", "exposeAdminClientEnabled"),
    **_refused("workers reach each other by workerHostname and workerPort", "functionWebServiceUrl"),
    **_refused("a worker service of one's own is a Java archive, which can't be loaded",
               "functionsWorkerServiceNarPackage", "functionsWorkerServiceCustomConfigs"),
    **_refused(_STATE, "stateStorageServiceUrl", neutral=("bk://localhost:4181",)),
    **_meaningless(_STATE, "stateStorageProviderImplementation"),
    **_meaningless(_TUNING, "assignmentWriteMaxRetries", "workerListProbeIntervalSec"),
    **_meaningless(_CONNECTORS, "connectorsDirectory", "narExtractionDirectory",
                   "ignoreUnknownConfigFields", "uploadBuiltinSinksSources",
                   "enableReferencingConnectorDirectoryFiles", "additionalEnabledConnectorUrlPatterns"),
    **_refused(_CONNECTORS, "validateConnectorConfig"),
    **_refused("classes are never loaded into the worker to check them", "enableClassloadingOfBuiltinFiles",
               "enableClassloadingOfExternalFiles"),
    **_honoured(
        "functionsDirectory", "enableReferencingFunctionsDirectoryFiles", "additionalEnabledFunctionsUrlPatterns"
    ),
}  # fmt: skip


def judge(values: Mapping[str, Any]) -> Findings:
    """Return what of a file is refused and what has no effect; keys without a value say nothing."""
    findings = Findings()
    findings.refused.extend(security_problems(values))
    in_kubernetes = _may_use_kubernetes(values)
    for key, value in values.items():
        verdict = TABLE.get(key)
        if verdict is None or value is None:
            continue
        kind = verdict.kind
        if kind == "honoured" and not in_kubernetes and value not in verdict.neutral:
            kind = verdict.elsewhere
        if kind == "refused" and value not in verdict.neutral:
            findings.refused.append((key, f"{key} is {value!r}: {verdict.why}; remove the key"))
        elif kind == "meaningless":
            findings.meaningless.append((key, f"{key} has no effect: {verdict.why}"))
    return findings


def _may_use_kubernetes(values: Mapping[str, Any]) -> bool:
    """Whether a file lets functions run in Kubernetes, by Pulsar's keys or by our own."""
    block = values.get("magnetar")
    own = block.get("runtimes") if isinstance(block, Mapping) else getattr(block, "runtimes", None)
    return chosen_runtime(values) == "kubernetes" or (isinstance(own, list | tuple) and "kubernetes" in own)


SETTINGS_TABLE: dict[str, Verdict] = {
    "pulsarClientMemoryLimit": Verdict("meaningless", "Pulsar's client for Python has no memory limit to set"),
}
"""Of the runtime settings, those that are not honoured."""
