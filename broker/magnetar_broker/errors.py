"""What the broker refuses, named for the state of the thing asked for; each has Pulsar's error code and an HTTP status."""


class BrokerError(Exception):
    """Raised when a request can't be carried out."""

    code = "UnknownError"
    status = 500


class NotFoundError(BrokerError):
    """Raised when a topic, namespace, subscription or package does not exist."""

    code = "TopicNotFound"
    status = 404


class SubscriptionMissingError(NotFoundError):
    """Raised when a subscription does not exist."""

    code = "SubscriptionNotFound"


class ConsumerMissingError(NotFoundError):
    """Raised when a client speaks of a consumer that it does not have."""

    code = "ConsumerNotFound"


class ExistsError(BrokerError):
    """Raised when something is to be created that exists."""

    code = "NotAllowedError"
    status = 409


class InvalidError(BrokerError):
    """Raised when a name or a request's content is not acceptable."""

    code = "InvalidTopicName"
    status = 400


class NotAllowedError(BrokerError):
    """Raised when this broker does not do what is asked."""

    code = "NotAllowedError"
    status = 405


class BusyError(BrokerError):
    """Raised when something in use is to be deleted."""

    code = "NotAllowedError"
    status = 412


class ConsumerBusyError(BrokerError):
    """Raised when a subscription can't take another consumer."""

    code = "ConsumerBusy"
    status = 409


class ConsumerAssignError(BrokerError):
    """Raised when a Key_Shared consumer's share of the keys collides with another's."""

    code = "ConsumerAssignError"
    status = 409


class ProducerBusyError(BrokerError):
    """Raised when a producer's name or the topic is taken by another producer."""

    code = "ProducerBusy"
    status = 409


class ProducerFencedError(BrokerError):
    """Raised when a producer has lost, or can't get, exclusive access to a topic."""

    code = "ProducerFenced"
    status = 409


class IncompatibleSchemaError(BrokerError):
    """Raised when a schema can't follow the topic's latest one."""

    code = "IncompatibleSchema"
    status = 409


class StorageError(BrokerError):
    """Raised when the journal can't be written; the message names the cause."""

    code = "PersistenceError"
    status = 500


class DamagedError(BrokerError):
    """Raised when the disk gives back something else than what was written; the message names the place."""

    code = "PersistenceError"


class QuotaExceededError(BrokerError):
    """Raised when a topic's backlog is as large as its quota allows."""

    code = "ProducerBlockedQuotaExceededError"
    status = 412


class QuotaExceededExceptionError(QuotaExceededError):
    """Raised likewise, where the policy is that clients fail at once instead of trying again."""

    code = "ProducerBlockedQuotaExceededException"


class ChecksumMismatchError(BrokerError):
    """Raised when a message is not what its producer sent."""

    code = "ChecksumError"
    status = 400


class MetadataError(BrokerError):
    """Raised when a message's metadata can't be read."""

    code = "MetadataError"
    status = 400


class AuthenticationError(BrokerError):
    """Raised when a client does not show, or no longer has, valid credentials."""

    code = "AuthenticationError"
    status = 401


class AuthorizationError(BrokerError):
    """Raised when a client may not do what it asks for."""

    code = "AuthorizationError"
    status = 401


class PermissionMissingError(BrokerError):
    """Raised when a permission is to be taken away that nobody has."""

    code = "NotAllowedError"
    status = 412


class KeyFormatError(Exception):
    """Raised when a key or another setting of authentication can't be used; its message says what can."""


class StartError(Exception):
    """Raised when the broker can't start; its message is one line that says what to do."""
