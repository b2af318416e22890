"""Who asks, and what they may do: authentication of requests and authorization by roles; no HTTP framework in it."""

from magnetar.access.authentication import Authentication
from magnetar.access.authorization import Authorization
from magnetar.access.base import AuthenticationProvider, Caller, Certificate, Presented
from magnetar.access.loading import load_authentication, load_authorization

__all__ = [
    "Authentication",
    "AuthenticationProvider",
    "Authorization",
    "Caller",
    "Certificate",
    "Presented",
    "load_authentication",
    "load_authorization",
]
