"""`/magnetar/v1/plan`: what a create or update would do; `/magnetar/v1/schema`: what a config may hold."""

from typing import Any

from fastapi import APIRouter, Depends, Request

from magnetar.model import FunctionConfig
from magnetar.rest.answers import FORM
from magnetar.rest.context import RestContext
from magnetar.rest.form_docs import UPDATE_FORM
from magnetar.rest.forms import form_of, submission_of
from magnetar.rest.paths import Named, P


def plan_router(context: RestContext) -> APIRouter:
    """Return the routes of plans and schemas."""
    router = APIRouter(prefix="/magnetar/v1", tags=["magnetar"])

    @router.post(
        f"/plan{P}", dependencies=[Depends(context.access.namespace)], openapi_extra=UPDATE_FORM, responses=FORM
    )
    async def plan(name: Named, request: Request) -> dict[str, Any]:
        """Tell what a create or update would change, field by field, and what becomes of the instances; change nothing.

        The form is that of create and update, and so are the refusals.
        """
        async with form_of(request, context, "data") as form:
            return (await context.functions.plan(name, submission_of(request, form))).to_json()

    @router.get("/schema/function", dependencies=[Depends(context.access.anyone)])
    async def function_schema() -> dict[str, Any]:
        """Return the JSON Schema of a function's config."""
        return FunctionConfig.model_json_schema()

    return router
