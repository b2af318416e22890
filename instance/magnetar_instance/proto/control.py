"""The messages of control.proto; written by scripts/protos."""

from . import message_class

FunctionStatus = message_class("proto.FunctionStatus")
MetricsData = message_class("proto.MetricsData")
HealthCheckResult = message_class("proto.HealthCheckResult")
