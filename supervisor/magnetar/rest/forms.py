"""What the forms of create, update and plan hold, and the answer without content."""

from contextlib import AbstractAsyncContextManager

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from magnetar.errors import RefusedError
from magnetar.functions.submission import Submission
from magnetar.model import UpdateOptions
from magnetar.rest.access import caller_of
from magnetar.rest.context import RestContext
from magnetar.rest.texts import header_value, read_json
from magnetar.rest.upload import Form, receive_form


def form_of(request: Request, context: RestContext, file: str | None) -> AbstractAsyncContextManager[Form]:
    """Receive a request's form; its part `file` goes to disk."""
    return receive_form(request, file=file, incoming=context.packages.incoming, limit=context.settings.max_upload_bytes)


def submission_of(request: Request, form: Form) -> Submission:
    """Return what a request to create, update or plan, and its form, hold. Raises RefusedError."""
    config = form.fields.get("functionConfig")
    return Submission(
        config=read_json(config, "functionConfig") if config else None,
        upload=form.upload,
        url=form.text("url"),
        options=_options(form.fields.get("updateOptions")),
        token=caller_of(request).token,
    )


def _options(text: bytes | None) -> UpdateOptions:
    if not text:
        return UpdateOptions()
    try:
        return UpdateOptions.model_validate(read_json(text, "updateOptions") or {})
    except ValidationError as error:
        raise RefusedError(f"updateOptions: {error.errors(include_url=False)[0]['msg']}") from None


def done(warnings: tuple[str, ...] = ()) -> Response:
    """Return the answer of an operation without a result."""
    response = Response(status_code=204)
    for warning in warnings:
        response.headers.append("X-Magnetar-Warning", header_value(warning))
    return response
