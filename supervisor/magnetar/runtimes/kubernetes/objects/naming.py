"""Names and labels of a function's objects in Kubernetes, as Pulsar's worker makes them. Pure."""

import hashlib
import re

from magnetar_instance.proto.function import FunctionDetails

from magnetar.errors import RefusedError
from magnetar.model.names import FunctionName

MAX_JOB_NAME = 53
"""Characters that a job's name may have: a pod adds its ordinal and the controller a hash, within 63."""

NAME_ANNOTATION = "magnetar/function"
"""Holds `tenant/namespace/name`: labels are cut and sanitised, this is not."""

_FOREIGN = re.compile(r"[^a-z0-9-]")
_LABEL_FOREIGN = re.compile(r"[^a-zA-Z0-9_.-]")
_SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_MAX_LABEL = 63
_COMPONENTS = {FunctionDetails.SOURCE: "source", FunctionDetails.SINK: "sink"}


def component(details: FunctionDetails) -> str:
    """Return `function`, `source` or `sink`."""
    return _COMPONENTS.get(details.componentType, "function")


def job_name(function: FunctionName, configured: str | None = None) -> str:
    """Return the name of a function's StatefulSet and Service.

    A name that Kubernetes can't take as it is gets a hash of the whole name, and so does every configured name.
    Dots are replaced too: Pulsar lets them pass and the API server then refuses the Service. Raises RefusedError.
    """
    base = "-".join(function)
    if configured:
        name = f"{_sanitised(configured)}-{_hash(f'{configured}-{base}')}"
    else:
        wanted = f"pf-{base}"
        name = _sanitised(wanted)
        if name != wanted or not _SERVICE_NAME.fullmatch(name):
            name = f"{name}-{_hash(base)}"
    _check(name, function, configured)
    return name


def _check(name: str, function: FunctionName, configured: str | None) -> None:
    if not _SERVICE_NAME.fullmatch(name):
        raise RefusedError(
            f"jobName {configured!r} gives {name!r}, which is no name for a Service: it must begin with a letter"
        )
    if len(name) > MAX_JOB_NAME:
        remedy = "choose a shorter jobName" if configured else "shorten it or set a jobName"
        raise RefusedError(
            f"{function.fqfn} gives the Kubernetes name {name!r} of {len(name)} characters; "
            f"{MAX_JOB_NAME} are allowed: {remedy}"
        )


def _sanitised(text: str) -> str:
    return _FOREIGN.sub("-", text.lower())


def _hash(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:8]


def label_value(text: str) -> str:
    """Return a text as the value of a label: foreign characters become `-`, bad ends `0`, 63 characters at most."""
    value = _LABEL_FOREIGN.sub("-", text.lower())[:_MAX_LABEL]
    if value and not value[0].isalnum():
        value = f"0{value[1:]}"
    if value and not value[-1].isalnum():
        value = f"{value[:-1]}0"
    return value


def labels(details: FunctionDetails, custom: dict[str, str]) -> dict[str, str]:
    """Return the labels that select a function's pods; custom ones of the worker are part of them."""
    return {
        "component": component(details),
        "namespace": label_value(details.namespace),
        "tenant": label_value(details.tenant),
        "name": label_value(details.name),
        **{key: label_value(value) for key, value in custom.items()},
    }


def pod_address(job: str, ordinal: int, namespace: str, suffix: str | None) -> str:
    """Return the DNS name of one pod behind the job's headless Service."""
    return f"{job}-{ordinal}.{job}.{namespace}.{suffix or 'svc.cluster.local'}"
