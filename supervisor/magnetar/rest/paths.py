"""Parts of paths that several resources share."""

from typing import Annotated

from fastapi import Depends, Path

from magnetar.model.names import FunctionName

P = "/{tenant}/{namespace}/{name}"


def function_name(tenant: str, namespace: str, name: str) -> FunctionName:
    """Take a function's name from a request's path."""
    return FunctionName(tenant, namespace, name)


Named = Annotated[FunctionName, Depends(function_name)]
InstanceId = Annotated[int, Path(alias="id")]
