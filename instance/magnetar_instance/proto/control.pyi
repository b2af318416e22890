from collections.abc import Iterable as _Iterable
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar

from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from google.protobuf.internal import containers as _containers

DESCRIPTOR: _descriptor.FileDescriptor

class FunctionStatus(_message.Message):
    __slots__ = (
        "averageLatency",
        "failureException",
        "instanceId",
        "lastInvocationTime",
        "latestSinkExceptions",
        "latestSourceExceptions",
        "latestSystemExceptions",
        "latestUserExceptions",
        "numReceived",
        "numRestarts",
        "numSinkExceptions",
        "numSourceExceptions",
        "numSuccessfullyProcessed",
        "numSystemExceptions",
        "numUserExceptions",
        "running",
        "workerId",
    )
    class ExceptionInformation(_message.Message):
        __slots__ = ("exceptionString", "msSinceEpoch")
        EXCEPTIONSTRING_FIELD_NUMBER: _ClassVar[int]
        MSSINCEEPOCH_FIELD_NUMBER: _ClassVar[int]
        exceptionString: str
        msSinceEpoch: int
        def __init__(self, exceptionString: str | None = ..., msSinceEpoch: int | None = ...) -> None: ...

    RUNNING_FIELD_NUMBER: _ClassVar[int]
    FAILUREEXCEPTION_FIELD_NUMBER: _ClassVar[int]
    NUMRESTARTS_FIELD_NUMBER: _ClassVar[int]
    NUMSUCCESSFULLYPROCESSED_FIELD_NUMBER: _ClassVar[int]
    NUMUSEREXCEPTIONS_FIELD_NUMBER: _ClassVar[int]
    LATESTUSEREXCEPTIONS_FIELD_NUMBER: _ClassVar[int]
    NUMSYSTEMEXCEPTIONS_FIELD_NUMBER: _ClassVar[int]
    LATESTSYSTEMEXCEPTIONS_FIELD_NUMBER: _ClassVar[int]
    AVERAGELATENCY_FIELD_NUMBER: _ClassVar[int]
    LASTINVOCATIONTIME_FIELD_NUMBER: _ClassVar[int]
    INSTANCEID_FIELD_NUMBER: _ClassVar[int]
    WORKERID_FIELD_NUMBER: _ClassVar[int]
    NUMRECEIVED_FIELD_NUMBER: _ClassVar[int]
    NUMSOURCEEXCEPTIONS_FIELD_NUMBER: _ClassVar[int]
    LATESTSOURCEEXCEPTIONS_FIELD_NUMBER: _ClassVar[int]
    NUMSINKEXCEPTIONS_FIELD_NUMBER: _ClassVar[int]
    LATESTSINKEXCEPTIONS_FIELD_NUMBER: _ClassVar[int]
    running: bool
    failureException: str
    numRestarts: int
    numSuccessfullyProcessed: int
    numUserExceptions: int
    latestUserExceptions: _containers.RepeatedCompositeFieldContainer[FunctionStatus.ExceptionInformation]
    numSystemExceptions: int
    latestSystemExceptions: _containers.RepeatedCompositeFieldContainer[FunctionStatus.ExceptionInformation]
    averageLatency: float
    lastInvocationTime: int
    instanceId: str
    workerId: str
    numReceived: int
    numSourceExceptions: int
    latestSourceExceptions: _containers.RepeatedCompositeFieldContainer[FunctionStatus.ExceptionInformation]
    numSinkExceptions: int
    latestSinkExceptions: _containers.RepeatedCompositeFieldContainer[FunctionStatus.ExceptionInformation]
    def __init__(
        self,
        running: bool | None = ...,
        failureException: str | None = ...,
        numRestarts: int | None = ...,
        numSuccessfullyProcessed: int | None = ...,
        numUserExceptions: int | None = ...,
        latestUserExceptions: _Iterable[FunctionStatus.ExceptionInformation | _Mapping[str, object]] | None = ...,
        numSystemExceptions: int | None = ...,
        latestSystemExceptions: _Iterable[FunctionStatus.ExceptionInformation | _Mapping[str, object]] | None = ...,
        averageLatency: float | None = ...,
        lastInvocationTime: int | None = ...,
        instanceId: str | None = ...,
        workerId: str | None = ...,
        numReceived: int | None = ...,
        numSourceExceptions: int | None = ...,
        latestSourceExceptions: _Iterable[FunctionStatus.ExceptionInformation | _Mapping[str, object]] | None = ...,
        numSinkExceptions: int | None = ...,
        latestSinkExceptions: _Iterable[FunctionStatus.ExceptionInformation | _Mapping[str, object]] | None = ...,
    ) -> None: ...

class MetricsData(_message.Message):
    __slots__ = (
        "avgProcessLatency",
        "avgProcessLatency_1min",
        "lastInvocation",
        "processedSuccessfullyTotal",
        "processedSuccessfullyTotal_1min",
        "receivedTotal",
        "receivedTotal_1min",
        "systemExceptionsTotal",
        "systemExceptionsTotal_1min",
        "userExceptionsTotal",
        "userExceptionsTotal_1min",
        "userMetrics",
    )
    class UserMetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: str | None = ..., value: float | None = ...) -> None: ...

    RECEIVEDTOTAL_FIELD_NUMBER: _ClassVar[int]
    PROCESSEDSUCCESSFULLYTOTAL_FIELD_NUMBER: _ClassVar[int]
    SYSTEMEXCEPTIONSTOTAL_FIELD_NUMBER: _ClassVar[int]
    USEREXCEPTIONSTOTAL_FIELD_NUMBER: _ClassVar[int]
    AVGPROCESSLATENCY_FIELD_NUMBER: _ClassVar[int]
    LASTINVOCATION_FIELD_NUMBER: _ClassVar[int]
    USERMETRICS_FIELD_NUMBER: _ClassVar[int]
    RECEIVEDTOTAL_1MIN_FIELD_NUMBER: _ClassVar[int]
    PROCESSEDSUCCESSFULLYTOTAL_1MIN_FIELD_NUMBER: _ClassVar[int]
    SYSTEMEXCEPTIONSTOTAL_1MIN_FIELD_NUMBER: _ClassVar[int]
    USEREXCEPTIONSTOTAL_1MIN_FIELD_NUMBER: _ClassVar[int]
    AVGPROCESSLATENCY_1MIN_FIELD_NUMBER: _ClassVar[int]
    receivedTotal: int
    processedSuccessfullyTotal: int
    systemExceptionsTotal: int
    userExceptionsTotal: int
    avgProcessLatency: float
    lastInvocation: int
    userMetrics: _containers.ScalarMap[str, float]
    receivedTotal_1min: int
    processedSuccessfullyTotal_1min: int
    systemExceptionsTotal_1min: int
    userExceptionsTotal_1min: int
    avgProcessLatency_1min: float
    def __init__(
        self,
        receivedTotal: int | None = ...,
        processedSuccessfullyTotal: int | None = ...,
        systemExceptionsTotal: int | None = ...,
        userExceptionsTotal: int | None = ...,
        avgProcessLatency: float | None = ...,
        lastInvocation: int | None = ...,
        userMetrics: _Mapping[str, float] | None = ...,
        receivedTotal_1min: int | None = ...,
        processedSuccessfullyTotal_1min: int | None = ...,
        systemExceptionsTotal_1min: int | None = ...,
        userExceptionsTotal_1min: int | None = ...,
        avgProcessLatency_1min: float | None = ...,
    ) -> None: ...

class HealthCheckResult(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: bool | None = ...) -> None: ...
