"""What the API server can answer, named for what it means to us; every message is one line."""

import re

from magnetar.errors import RequestError

_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)")?'
)
_ACCOUNT = re.compile(r"system:serviceaccount:(?P<namespace>[^:]+):(?P<name>.+)")


class KubernetesError(RequestError):
    """Raised when the API server does not do what it was asked; its subclasses say why."""

    status = 500


class ForbiddenError(KubernetesError):
    """Raised when the worker's account lacks a right; the message names verb, resource, namespace and account."""

    @classmethod
    def from_answer(cls, message: str) -> "ForbiddenError":
        """Make the error from the API server's own sentence."""
        found = _FORBIDDEN.search(message)
        if found is None:
            return cls(f"the API server forbids it: {message}")
        resource = ".".join(filter(None, (found["resource"], found["group"])))
        account = _ACCOUNT.fullmatch(found["user"])
        who = f"service account {account['namespace']}/{account['name']}" if account else f"user {found['user']}"
        where = f"in the namespace {found['namespace']}" if found["namespace"] else "in all namespaces"
        return cls(f"the {who} may not {found['verb']} {resource} {where}: add that verb to its Role")


class InvalidError(KubernetesError):
    """Raised when the API server refuses an object for its content, a quota or a policy; it will do so again."""


class ConflictError(KubernetesError):
    """Raised when an object of that name is there already, or is another's, or was changed in between."""

    status = 400


class ExpiredError(KubernetesError):
    """Raised when a watch began at a version that the API server has forgotten: list again."""


class UnreachableError(KubernetesError):
    """Raised when the API server does not answer, is too busy, or fails; later tries may succeed."""

    status = 503
