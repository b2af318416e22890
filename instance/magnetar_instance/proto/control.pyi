from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FunctionStatus(_message.Message):
    __slots__ = ("running", "failureException", "numRestarts", "numSuccessfullyProcessed", "numUserExceptions", "latestUserExceptions", "numSystemExceptions", "latestSystemExceptions", "averageLatency", "lastInvocationTime", "instanceId", "workerId", "numReceived", "numSourceExceptions", "latestSourceExceptions", "numSinkExceptions", "latestSinkExceptions")
    class ExceptionInformation(_message.Message):
        __slots__ = ("exceptionString", "msSinceEpoch")
        EXCEPTIONSTRING_FIELD_NUMBER: _ClassVar[int]
        MSSINCEEPOCH_FIELD_NUMBER: _ClassVar[int]
        exceptionString: str
        msSinceEpoch: int
        def __init__(self, exceptionString: _Optional[str] = ..., msSinceEpoch: _Optional[int] = ...) -> None: ...
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
    def __init__(self, running: _Optional[bool] = ..., failureException: _Optional[str] = ..., numRestarts: _Optional[int] = ..., numSuccessfullyProcessed: _Optional[int] = ..., numUserExceptions: _Optional[int] = ..., latestUserExceptions: _Optional[_Iterable[_Union[FunctionStatus.ExceptionInformation, _Mapping]]] = ..., numSystemExceptions: _Optional[int] = ..., latestSystemExceptions: _Optional[_Iterable[_Union[FunctionStatus.ExceptionInformation, _Mapping]]] = ..., averageLatency: _Optional[float] = ..., lastInvocationTime: _Optional[int] = ..., instanceId: _Optional[str] = ..., workerId: _Optional[str] = ..., numReceived: _Optional[int] = ..., numSourceExceptions: _Optional[int] = ..., latestSourceExceptions: _Optional[_Iterable[_Union[FunctionStatus.ExceptionInformation, _Mapping]]] = ..., numSinkExceptions: _Optional[int] = ..., latestSinkExceptions: _Optional[_Iterable[_Union[FunctionStatus.ExceptionInformation, _Mapping]]] = ...) -> None: ...

class MetricsData(_message.Message):
    __slots__ = ("receivedTotal", "processedSuccessfullyTotal", "systemExceptionsTotal", "userExceptionsTotal", "avgProcessLatency", "lastInvocation", "userMetrics", "receivedTotal_1min", "processedSuccessfullyTotal_1min", "systemExceptionsTotal_1min", "userExceptionsTotal_1min", "avgProcessLatency_1min")
    class UserMetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
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
    def __init__(self, receivedTotal: _Optional[int] = ..., processedSuccessfullyTotal: _Optional[int] = ..., systemExceptionsTotal: _Optional[int] = ..., userExceptionsTotal: _Optional[int] = ..., avgProcessLatency: _Optional[float] = ..., lastInvocation: _Optional[int] = ..., userMetrics: _Optional[_Mapping[str, float]] = ..., receivedTotal_1min: _Optional[int] = ..., processedSuccessfullyTotal_1min: _Optional[int] = ..., systemExceptionsTotal_1min: _Optional[int] = ..., userExceptionsTotal_1min: _Optional[int] = ..., avgProcessLatency_1min: _Optional[float] = ...) -> None: ...

class HealthCheckResult(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...
