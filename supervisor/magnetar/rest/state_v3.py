"""`/admin/v3/functions/…/state/{key}`: what a function keeps, in Pulsar's JSON."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from magnetar.errors import RefusedError
from magnetar.model.function_state import FunctionState
from magnetar.rest.answers import ELSEWHERE, FORM, State, found
from magnetar.rest.context import RestContext
from magnetar.rest.form_docs import STATE_FORM
from magnetar.rest.forms import done, form_of
from magnetar.rest.paths import Named, P
from magnetar.rest.texts import read_json


def add_state(router: APIRouter, context: RestContext) -> None:
    """Add the routes of a function's state."""
    functions = context.functions

    @router.get(f"{P}/state/{{key:path}}", responses=found(State) | ELSEWHERE)
    async def state(name: Named, key: str) -> Response:
        """Return what a function keeps under a key; redirects to the worker that has its first instance."""
        return JSONResponse((await functions.state(name, key)).to_json())

    @router.post(f"{P}/state/{{key:path}}", status_code=204, openapi_extra=STATE_FORM, responses=FORM | ELSEWHERE)
    async def put_state(name: Named, key: str, request: Request) -> Response:
        """Let a function keep a value under a key."""
        async with form_of(request, context, None) as form:
            given = form.fields.get("state")
            if given is None:
                raise RefusedError("the form has no part `state`: it is the JSON of key and value")
            await functions.put_state(name, key, FunctionState.from_json(read_json(given, "state")))
        return done()
