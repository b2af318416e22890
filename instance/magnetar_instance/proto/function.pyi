from collections.abc import Iterable as _Iterable
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar

from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper

DESCRIPTOR: _descriptor.FileDescriptor

class ProcessingGuarantees(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATLEAST_ONCE: _ClassVar[ProcessingGuarantees]
    ATMOST_ONCE: _ClassVar[ProcessingGuarantees]
    EFFECTIVELY_ONCE: _ClassVar[ProcessingGuarantees]
    MANUAL: _ClassVar[ProcessingGuarantees]

class SubscriptionType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SHARED: _ClassVar[SubscriptionType]
    FAILOVER: _ClassVar[SubscriptionType]
    KEY_SHARED: _ClassVar[SubscriptionType]

class SubscriptionPosition(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LATEST: _ClassVar[SubscriptionPosition]
    EARLIEST: _ClassVar[SubscriptionPosition]

class CompressionType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LZ4: _ClassVar[CompressionType]
    NONE: _ClassVar[CompressionType]
    ZLIB: _ClassVar[CompressionType]
    ZSTD: _ClassVar[CompressionType]
    SNAPPY: _ClassVar[CompressionType]

class FunctionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUNNING: _ClassVar[FunctionState]
    STOPPED: _ClassVar[FunctionState]

ATLEAST_ONCE: ProcessingGuarantees
ATMOST_ONCE: ProcessingGuarantees
EFFECTIVELY_ONCE: ProcessingGuarantees
MANUAL: ProcessingGuarantees
SHARED: SubscriptionType
FAILOVER: SubscriptionType
KEY_SHARED: SubscriptionType
LATEST: SubscriptionPosition
EARLIEST: SubscriptionPosition
LZ4: CompressionType
NONE: CompressionType
ZLIB: CompressionType
ZSTD: CompressionType
SNAPPY: CompressionType
RUNNING: FunctionState
STOPPED: FunctionState

class Resources(_message.Message):
    __slots__ = ("cpu", "disk", "ram")
    CPU_FIELD_NUMBER: _ClassVar[int]
    RAM_FIELD_NUMBER: _ClassVar[int]
    DISK_FIELD_NUMBER: _ClassVar[int]
    cpu: float
    ram: int
    disk: int
    def __init__(self, cpu: float | None = ..., ram: int | None = ..., disk: int | None = ...) -> None: ...

class RetryDetails(_message.Message):
    __slots__ = ("deadLetterTopic", "maxMessageRetries")
    MAXMESSAGERETRIES_FIELD_NUMBER: _ClassVar[int]
    DEADLETTERTOPIC_FIELD_NUMBER: _ClassVar[int]
    maxMessageRetries: int
    deadLetterTopic: str
    def __init__(self, maxMessageRetries: int | None = ..., deadLetterTopic: str | None = ...) -> None: ...

class FunctionDetails(_message.Message):
    __slots__ = (
        "autoAck",
        "builtin",
        "className",
        "componentType",
        "customRuntimeOptions",
        "logTopic",
        "name",
        "namespace",
        "packageUrl",
        "parallelism",
        "processingGuarantees",
        "resources",
        "retainKeyOrdering",
        "retainOrdering",
        "retryDetails",
        "runtime",
        "runtimeFlags",
        "secretsMap",
        "sink",
        "source",
        "subscriptionPosition",
        "tenant",
        "userConfig",
    )
    class Runtime(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        JAVA: _ClassVar[FunctionDetails.Runtime]
        PYTHON: _ClassVar[FunctionDetails.Runtime]
        GO: _ClassVar[FunctionDetails.Runtime]

    JAVA: FunctionDetails.Runtime
    PYTHON: FunctionDetails.Runtime
    GO: FunctionDetails.Runtime
    class ComponentType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[FunctionDetails.ComponentType]
        FUNCTION: _ClassVar[FunctionDetails.ComponentType]
        SOURCE: _ClassVar[FunctionDetails.ComponentType]
        SINK: _ClassVar[FunctionDetails.ComponentType]

    UNKNOWN: FunctionDetails.ComponentType
    FUNCTION: FunctionDetails.ComponentType
    SOURCE: FunctionDetails.ComponentType
    SINK: FunctionDetails.ComponentType
    TENANT_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLASSNAME_FIELD_NUMBER: _ClassVar[int]
    LOGTOPIC_FIELD_NUMBER: _ClassVar[int]
    PROCESSINGGUARANTEES_FIELD_NUMBER: _ClassVar[int]
    USERCONFIG_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    AUTOACK_FIELD_NUMBER: _ClassVar[int]
    PARALLELISM_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SINK_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    PACKAGEURL_FIELD_NUMBER: _ClassVar[int]
    RETRYDETAILS_FIELD_NUMBER: _ClassVar[int]
    SECRETSMAP_FIELD_NUMBER: _ClassVar[int]
    RUNTIMEFLAGS_FIELD_NUMBER: _ClassVar[int]
    COMPONENTTYPE_FIELD_NUMBER: _ClassVar[int]
    CUSTOMRUNTIMEOPTIONS_FIELD_NUMBER: _ClassVar[int]
    BUILTIN_FIELD_NUMBER: _ClassVar[int]
    RETAINORDERING_FIELD_NUMBER: _ClassVar[int]
    RETAINKEYORDERING_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTIONPOSITION_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    namespace: str
    name: str
    className: str
    logTopic: str
    processingGuarantees: ProcessingGuarantees
    userConfig: str
    runtime: FunctionDetails.Runtime
    autoAck: bool
    parallelism: int
    source: SourceSpec
    sink: SinkSpec
    resources: Resources
    packageUrl: str
    retryDetails: RetryDetails
    secretsMap: str
    runtimeFlags: str
    componentType: FunctionDetails.ComponentType
    customRuntimeOptions: str
    builtin: str
    retainOrdering: bool
    retainKeyOrdering: bool
    subscriptionPosition: SubscriptionPosition
    def __init__(
        self,
        tenant: str | None = ...,
        namespace: str | None = ...,
        name: str | None = ...,
        className: str | None = ...,
        logTopic: str | None = ...,
        processingGuarantees: ProcessingGuarantees | str | None = ...,
        userConfig: str | None = ...,
        runtime: FunctionDetails.Runtime | str | None = ...,
        autoAck: bool | None = ...,
        parallelism: int | None = ...,
        source: SourceSpec | _Mapping[str, object] | None = ...,
        sink: SinkSpec | _Mapping[str, object] | None = ...,
        resources: Resources | _Mapping[str, object] | None = ...,
        packageUrl: str | None = ...,
        retryDetails: RetryDetails | _Mapping[str, object] | None = ...,
        secretsMap: str | None = ...,
        runtimeFlags: str | None = ...,
        componentType: FunctionDetails.ComponentType | str | None = ...,
        customRuntimeOptions: str | None = ...,
        builtin: str | None = ...,
        retainOrdering: bool | None = ...,
        retainKeyOrdering: bool | None = ...,
        subscriptionPosition: SubscriptionPosition | str | None = ...,
    ) -> None: ...

class ConsumerSpec(_message.Message):
    __slots__ = (
        "consumerProperties",
        "cryptoSpec",
        "isRegexPattern",
        "messagePayloadProcessorSpec",
        "poolMessages",
        "receiverQueueSize",
        "schemaProperties",
        "schemaType",
        "serdeClassName",
    )
    class ReceiverQueueSize(_message.Message):
        __slots__ = ("value",)
        VALUE_FIELD_NUMBER: _ClassVar[int]
        value: int
        def __init__(self, value: int | None = ...) -> None: ...

    class SchemaPropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: str | None = ..., value: str | None = ...) -> None: ...

    class ConsumerPropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: str | None = ..., value: str | None = ...) -> None: ...

    SCHEMATYPE_FIELD_NUMBER: _ClassVar[int]
    SERDECLASSNAME_FIELD_NUMBER: _ClassVar[int]
    ISREGEXPATTERN_FIELD_NUMBER: _ClassVar[int]
    RECEIVERQUEUESIZE_FIELD_NUMBER: _ClassVar[int]
    SCHEMAPROPERTIES_FIELD_NUMBER: _ClassVar[int]
    CONSUMERPROPERTIES_FIELD_NUMBER: _ClassVar[int]
    CRYPTOSPEC_FIELD_NUMBER: _ClassVar[int]
    POOLMESSAGES_FIELD_NUMBER: _ClassVar[int]
    MESSAGEPAYLOADPROCESSORSPEC_FIELD_NUMBER: _ClassVar[int]
    schemaType: str
    serdeClassName: str
    isRegexPattern: bool
    receiverQueueSize: ConsumerSpec.ReceiverQueueSize
    schemaProperties: _containers.ScalarMap[str, str]
    consumerProperties: _containers.ScalarMap[str, str]
    cryptoSpec: CryptoSpec
    poolMessages: bool
    messagePayloadProcessorSpec: MessagePayloadProcessorSpec
    def __init__(
        self,
        schemaType: str | None = ...,
        serdeClassName: str | None = ...,
        isRegexPattern: bool | None = ...,
        receiverQueueSize: ConsumerSpec.ReceiverQueueSize | _Mapping[str, object] | None = ...,
        schemaProperties: _Mapping[str, str] | None = ...,
        consumerProperties: _Mapping[str, str] | None = ...,
        cryptoSpec: CryptoSpec | _Mapping[str, object] | None = ...,
        poolMessages: bool | None = ...,
        messagePayloadProcessorSpec: MessagePayloadProcessorSpec | _Mapping[str, object] | None = ...,
    ) -> None: ...

class MessagePayloadProcessorSpec(_message.Message):
    __slots__ = ("className", "configs")
    CLASSNAME_FIELD_NUMBER: _ClassVar[int]
    CONFIGS_FIELD_NUMBER: _ClassVar[int]
    className: str
    configs: str
    def __init__(self, className: str | None = ..., configs: str | None = ...) -> None: ...

class ProducerSpec(_message.Message):
    __slots__ = (
        "batchBuilder",
        "batchingSpec",
        "compressionType",
        "cryptoSpec",
        "maxPendingMessages",
        "maxPendingMessagesAcrossPartitions",
        "useThreadLocalProducers",
    )
    MAXPENDINGMESSAGES_FIELD_NUMBER: _ClassVar[int]
    MAXPENDINGMESSAGESACROSSPARTITIONS_FIELD_NUMBER: _ClassVar[int]
    USETHREADLOCALPRODUCERS_FIELD_NUMBER: _ClassVar[int]
    CRYPTOSPEC_FIELD_NUMBER: _ClassVar[int]
    BATCHBUILDER_FIELD_NUMBER: _ClassVar[int]
    COMPRESSIONTYPE_FIELD_NUMBER: _ClassVar[int]
    BATCHINGSPEC_FIELD_NUMBER: _ClassVar[int]
    maxPendingMessages: int
    maxPendingMessagesAcrossPartitions: int
    useThreadLocalProducers: bool
    cryptoSpec: CryptoSpec
    batchBuilder: str
    compressionType: CompressionType
    batchingSpec: BatchingSpec
    def __init__(
        self,
        maxPendingMessages: int | None = ...,
        maxPendingMessagesAcrossPartitions: int | None = ...,
        useThreadLocalProducers: bool | None = ...,
        cryptoSpec: CryptoSpec | _Mapping[str, object] | None = ...,
        batchBuilder: str | None = ...,
        compressionType: CompressionType | str | None = ...,
        batchingSpec: BatchingSpec | _Mapping[str, object] | None = ...,
    ) -> None: ...

class BatchingSpec(_message.Message):
    __slots__ = (
        "batchBuilder",
        "batchingMaxBytes",
        "batchingMaxMessages",
        "batchingMaxPublishDelayMs",
        "enabled",
        "roundRobinRouterBatchingPartitionSwitchFrequency",
    )
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    BATCHINGMAXPUBLISHDELAYMS_FIELD_NUMBER: _ClassVar[int]
    ROUNDROBINROUTERBATCHINGPARTITIONSWITCHFREQUENCY_FIELD_NUMBER: _ClassVar[int]
    BATCHINGMAXMESSAGES_FIELD_NUMBER: _ClassVar[int]
    BATCHINGMAXBYTES_FIELD_NUMBER: _ClassVar[int]
    BATCHBUILDER_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    batchingMaxPublishDelayMs: int
    roundRobinRouterBatchingPartitionSwitchFrequency: int
    batchingMaxMessages: int
    batchingMaxBytes: int
    batchBuilder: str
    def __init__(
        self,
        enabled: bool | None = ...,
        batchingMaxPublishDelayMs: int | None = ...,
        roundRobinRouterBatchingPartitionSwitchFrequency: int | None = ...,
        batchingMaxMessages: int | None = ...,
        batchingMaxBytes: int | None = ...,
        batchBuilder: str | None = ...,
    ) -> None: ...

class CryptoSpec(_message.Message):
    __slots__ = (
        "consumerCryptoFailureAction",
        "cryptoKeyReaderClassName",
        "cryptoKeyReaderConfig",
        "producerCryptoFailureAction",
        "producerEncryptionKeyName",
    )
    class FailureAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        FAIL: _ClassVar[CryptoSpec.FailureAction]
        DISCARD: _ClassVar[CryptoSpec.FailureAction]
        CONSUME: _ClassVar[CryptoSpec.FailureAction]
        SEND: _ClassVar[CryptoSpec.FailureAction]

    FAIL: CryptoSpec.FailureAction
    DISCARD: CryptoSpec.FailureAction
    CONSUME: CryptoSpec.FailureAction
    SEND: CryptoSpec.FailureAction
    CRYPTOKEYREADERCLASSNAME_FIELD_NUMBER: _ClassVar[int]
    CRYPTOKEYREADERCONFIG_FIELD_NUMBER: _ClassVar[int]
    PRODUCERENCRYPTIONKEYNAME_FIELD_NUMBER: _ClassVar[int]
    PRODUCERCRYPTOFAILUREACTION_FIELD_NUMBER: _ClassVar[int]
    CONSUMERCRYPTOFAILUREACTION_FIELD_NUMBER: _ClassVar[int]
    cryptoKeyReaderClassName: str
    cryptoKeyReaderConfig: str
    producerEncryptionKeyName: _containers.RepeatedScalarFieldContainer[str]
    producerCryptoFailureAction: CryptoSpec.FailureAction
    consumerCryptoFailureAction: CryptoSpec.FailureAction
    def __init__(
        self,
        cryptoKeyReaderClassName: str | None = ...,
        cryptoKeyReaderConfig: str | None = ...,
        producerEncryptionKeyName: _Iterable[str] | None = ...,
        producerCryptoFailureAction: CryptoSpec.FailureAction | str | None = ...,
        consumerCryptoFailureAction: CryptoSpec.FailureAction | str | None = ...,
    ) -> None: ...

class SourceSpec(_message.Message):
    __slots__ = (
        "builtin",
        "className",
        "cleanupSubscription",
        "configs",
        "inputSpecs",
        "negativeAckRedeliveryDelayMs",
        "skipToLatest",
        "subscriptionName",
        "subscriptionPosition",
        "subscriptionType",
        "timeoutMs",
        "topicsPattern",
        "topicsToSerDeClassName",
        "typeClassName",
    )
    class TopicsToSerDeClassNameEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: str | None = ..., value: str | None = ...) -> None: ...

    class InputSpecsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ConsumerSpec
        def __init__(self, key: str | None = ..., value: ConsumerSpec | _Mapping[str, object] | None = ...) -> None: ...

    CLASSNAME_FIELD_NUMBER: _ClassVar[int]
    CONFIGS_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTIONTYPE_FIELD_NUMBER: _ClassVar[int]
    TOPICSTOSERDECLASSNAME_FIELD_NUMBER: _ClassVar[int]
    TYPECLASSNAME_FIELD_NUMBER: _ClassVar[int]
    TIMEOUTMS_FIELD_NUMBER: _ClassVar[int]
    TOPICSPATTERN_FIELD_NUMBER: _ClassVar[int]
    BUILTIN_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTIONNAME_FIELD_NUMBER: _ClassVar[int]
    INPUTSPECS_FIELD_NUMBER: _ClassVar[int]
    CLEANUPSUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTIONPOSITION_FIELD_NUMBER: _ClassVar[int]
    NEGATIVEACKREDELIVERYDELAYMS_FIELD_NUMBER: _ClassVar[int]
    SKIPTOLATEST_FIELD_NUMBER: _ClassVar[int]
    className: str
    configs: str
    subscriptionType: SubscriptionType
    topicsToSerDeClassName: _containers.ScalarMap[str, str]
    typeClassName: str
    timeoutMs: int
    topicsPattern: str
    builtin: str
    subscriptionName: str
    inputSpecs: _containers.MessageMap[str, ConsumerSpec]
    cleanupSubscription: bool
    subscriptionPosition: SubscriptionPosition
    negativeAckRedeliveryDelayMs: int
    skipToLatest: bool
    def __init__(
        self,
        className: str | None = ...,
        configs: str | None = ...,
        subscriptionType: SubscriptionType | str | None = ...,
        topicsToSerDeClassName: _Mapping[str, str] | None = ...,
        typeClassName: str | None = ...,
        timeoutMs: int | None = ...,
        topicsPattern: str | None = ...,
        builtin: str | None = ...,
        subscriptionName: str | None = ...,
        inputSpecs: _Mapping[str, ConsumerSpec] | None = ...,
        cleanupSubscription: bool | None = ...,
        subscriptionPosition: SubscriptionPosition | str | None = ...,
        negativeAckRedeliveryDelayMs: int | None = ...,
        skipToLatest: bool | None = ...,
    ) -> None: ...

class SinkSpec(_message.Message):
    __slots__ = (
        "builtin",
        "className",
        "configs",
        "consumerProperties",
        "forwardSourceMessageProperty",
        "producerSpec",
        "schemaProperties",
        "schemaType",
        "serDeClassName",
        "topic",
        "typeClassName",
    )
    class SchemaPropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: str | None = ..., value: str | None = ...) -> None: ...

    class ConsumerPropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: str | None = ..., value: str | None = ...) -> None: ...

    CLASSNAME_FIELD_NUMBER: _ClassVar[int]
    CONFIGS_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    SERDECLASSNAME_FIELD_NUMBER: _ClassVar[int]
    TYPECLASSNAME_FIELD_NUMBER: _ClassVar[int]
    BUILTIN_FIELD_NUMBER: _ClassVar[int]
    SCHEMATYPE_FIELD_NUMBER: _ClassVar[int]
    FORWARDSOURCEMESSAGEPROPERTY_FIELD_NUMBER: _ClassVar[int]
    SCHEMAPROPERTIES_FIELD_NUMBER: _ClassVar[int]
    CONSUMERPROPERTIES_FIELD_NUMBER: _ClassVar[int]
    PRODUCERSPEC_FIELD_NUMBER: _ClassVar[int]
    className: str
    configs: str
    topic: str
    serDeClassName: str
    typeClassName: str
    builtin: str
    schemaType: str
    forwardSourceMessageProperty: bool
    schemaProperties: _containers.ScalarMap[str, str]
    consumerProperties: _containers.ScalarMap[str, str]
    producerSpec: ProducerSpec
    def __init__(
        self,
        className: str | None = ...,
        configs: str | None = ...,
        topic: str | None = ...,
        serDeClassName: str | None = ...,
        typeClassName: str | None = ...,
        builtin: str | None = ...,
        schemaType: str | None = ...,
        forwardSourceMessageProperty: bool | None = ...,
        schemaProperties: _Mapping[str, str] | None = ...,
        consumerProperties: _Mapping[str, str] | None = ...,
        producerSpec: ProducerSpec | _Mapping[str, object] | None = ...,
    ) -> None: ...

class PackageLocationMetaData(_message.Message):
    __slots__ = ("originalFileName", "packagePath")
    PACKAGEPATH_FIELD_NUMBER: _ClassVar[int]
    ORIGINALFILENAME_FIELD_NUMBER: _ClassVar[int]
    packagePath: str
    originalFileName: str
    def __init__(self, packagePath: str | None = ..., originalFileName: str | None = ...) -> None: ...

class FunctionAuthenticationSpec(_message.Message):
    __slots__ = ("data", "provider")
    DATA_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    provider: str
    def __init__(self, data: bytes | None = ..., provider: str | None = ...) -> None: ...

class FunctionMetaData(_message.Message):
    __slots__ = (
        "createTime",
        "functionAuthSpec",
        "functionDetails",
        "instanceStates",
        "packageLocation",
        "transformFunctionPackageLocation",
        "version",
    )
    class InstanceStatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: FunctionState
        def __init__(self, key: int | None = ..., value: FunctionState | str | None = ...) -> None: ...

    FUNCTIONDETAILS_FIELD_NUMBER: _ClassVar[int]
    PACKAGELOCATION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATETIME_FIELD_NUMBER: _ClassVar[int]
    INSTANCESTATES_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONAUTHSPEC_FIELD_NUMBER: _ClassVar[int]
    TRANSFORMFUNCTIONPACKAGELOCATION_FIELD_NUMBER: _ClassVar[int]
    functionDetails: FunctionDetails
    packageLocation: PackageLocationMetaData
    version: int
    createTime: int
    instanceStates: _containers.ScalarMap[int, FunctionState]
    functionAuthSpec: FunctionAuthenticationSpec
    transformFunctionPackageLocation: PackageLocationMetaData
    def __init__(
        self,
        functionDetails: FunctionDetails | _Mapping[str, object] | None = ...,
        packageLocation: PackageLocationMetaData | _Mapping[str, object] | None = ...,
        version: int | None = ...,
        createTime: int | None = ...,
        instanceStates: _Mapping[int, FunctionState] | None = ...,
        functionAuthSpec: FunctionAuthenticationSpec | _Mapping[str, object] | None = ...,
        transformFunctionPackageLocation: PackageLocationMetaData | _Mapping[str, object] | None = ...,
    ) -> None: ...

class Instance(_message.Message):
    __slots__ = ("functionMetaData", "instanceId")
    FUNCTIONMETADATA_FIELD_NUMBER: _ClassVar[int]
    INSTANCEID_FIELD_NUMBER: _ClassVar[int]
    functionMetaData: FunctionMetaData
    instanceId: int
    def __init__(
        self, functionMetaData: FunctionMetaData | _Mapping[str, object] | None = ..., instanceId: int | None = ...
    ) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("instance", "workerId")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    WORKERID_FIELD_NUMBER: _ClassVar[int]
    instance: Instance
    workerId: str
    def __init__(self, instance: Instance | _Mapping[str, object] | None = ..., workerId: str | None = ...) -> None: ...

class ServiceRequest(_message.Message):
    __slots__ = ("functionMetaData", "requestId", "serviceRequestType", "workerId")
    class ServiceRequestType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UPDATE: _ClassVar[ServiceRequest.ServiceRequestType]
        DELETE: _ClassVar[ServiceRequest.ServiceRequestType]
        INITIALIZE: _ClassVar[ServiceRequest.ServiceRequestType]

    UPDATE: ServiceRequest.ServiceRequestType
    DELETE: ServiceRequest.ServiceRequestType
    INITIALIZE: ServiceRequest.ServiceRequestType
    SERVICEREQUESTTYPE_FIELD_NUMBER: _ClassVar[int]
    REQUESTID_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONMETADATA_FIELD_NUMBER: _ClassVar[int]
    WORKERID_FIELD_NUMBER: _ClassVar[int]
    serviceRequestType: ServiceRequest.ServiceRequestType
    requestId: str
    functionMetaData: FunctionMetaData
    workerId: str
    def __init__(
        self,
        serviceRequestType: ServiceRequest.ServiceRequestType | str | None = ...,
        requestId: str | None = ...,
        functionMetaData: FunctionMetaData | _Mapping[str, object] | None = ...,
        workerId: str | None = ...,
    ) -> None: ...
