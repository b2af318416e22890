"""The official client's exceptions as the worker's errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pulsar

from magnetar.errors import BrokerRefusedError, NotReadyError


class FencedError(BrokerRefusedError):
    """Raised when another producer has the topic or the name to itself, or took them from this one."""


_UNREACHABLE = (
    pulsar.Timeout,
    pulsar.ConnectError,
    pulsar.NotConnected,
    pulsar.ReadError,
    pulsar.ServiceUnitNotReady,
    pulsar.TooManyLookupRequestException,
    pulsar.BrokerMetadataError,
)
_FENCED = (pulsar.ProducerFenced, pulsar.ProducerBusy)
_STATUS = {
    pulsar.AuthenticationError: 401,
    pulsar.AuthorizationError: 401,
    pulsar.TopicNotFound: 404,
    pulsar.SubscriptionNotFound: 404,
    pulsar.ConsumerBusy: 409,
    pulsar.IncompatibleSchema: 409,
    pulsar.MessageTooBig: 413,
}


@contextmanager
def told(what: str) -> Iterator[None]:
    """Raise NotReadyError, FencedError, BrokerRefusedError or anyio.ClosedResourceError for the official exceptions."""
    try:
        yield
    except pulsar.AlreadyClosed as error:
        raise anyio.ClosedResourceError from error
    except _UNREACHABLE as error:
        raise NotReadyError(f"{what}: the broker does not answer ({type(error).__name__}); see that it runs") from error
    except _FENCED as error:
        raise FencedError(f"{what}: another producer has the topic to itself", 409) from error
    except pulsar.PulsarException as error:
        raise BrokerRefusedError(f"{what}: {type(error).__name__}", _STATUS.get(type(error), 500)) from error
