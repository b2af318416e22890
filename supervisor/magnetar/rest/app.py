"""The whole REST API as one application."""

from importlib.metadata import version

from fastapi import Depends, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from magnetar.rest.answers import ALWAYS
from magnetar.rest.api import Api
from magnetar.rest.authenticate import AT_THE_ROOT, Authenticate
from magnetar.rest.context import RestContext
from magnetar.rest.errors import add_error_handlers
from magnetar.rest.functions_v3 import builtins_router, functions_router
from magnetar.rest.guard import Guard, GuardPolicy
from magnetar.rest.leader_v3 import leader_router
from magnetar.rest.limits import RateLimit
from magnetar.rest.moves_v2 import moves_router
from magnetar.rest.packages_v3 import packages_router
from magnetar.rest.proxy import BrokerProxy
from magnetar.rest.root import absent_router, require_ready, root_router
from magnetar.rest.settings import RestSettings
from magnetar.rest.v1.events import events_router
from magnetar.rest.v1.instances import instances_router
from magnetar.rest.v1.log_level import log_level_router
from magnetar.rest.v1.logs import logs_router
from magnetar.rest.v1.manifests import manifests_router
from magnetar.rest.v1.plan import plan_router
from magnetar.rest.v1.updates import updates_router
from magnetar.rest.worker_v2 import worker_router

__all__ = ["BrokerProxy", "RestContext", "RestSettings", "build_app"]

_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]


def build_app(context: RestContext) -> FastAPI:
    """Return the application; what it is made of is opened and closed by whoever made it."""
    app = Api(
        title="Magnetar",
        version=version("magnetar"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=ALWAYS,
        authenticates=context.authentication is not None,
    )
    add_error_handlers(app, context.settings.scheme)
    if context.authentication is not None:
        open_paths = () if context.settings.authenticates_root else AT_THE_ROOT
        app.add_middleware(Authenticate, authentication=context.authentication, open_paths=open_paths)
    app.add_middleware(Guard, policy=GuardPolicy(context.settings.host, context.settings.allowed_hosts))

    if context.settings.max_requests_per_second is not None:
        app.add_middleware(RateLimit, rate=context.settings.max_requests_per_second)

    async def ready() -> None:
        require_ready(context)

    for router in (
        functions_router(context),
        builtins_router(context),
        packages_router(context),
        leader_router(context),
        worker_router(context, "/admin/v2"),
        worker_router(context, "/admin"),
        moves_router(context, "/admin/v2"),
        moves_router(context, "/admin"),
        events_router(context),
        instances_router(context),
        logs_router(context),
        plan_router(context),
        manifests_router(context),
        log_level_router(context),
        updates_router(context),
    ):
        app.include_router(router, dependencies=[Depends(ready)])
    app.include_router(root_router(context))
    app.include_router(absent_router(context))
    if context.proxy:
        _add_proxy(app, context, context.proxy)
    return app


def _add_proxy(app: Api, context: RestContext, proxy: BrokerProxy) -> None:
    async def broker(request: Request) -> Response:
        return await proxy(request)

    async def ours(request: Request) -> Response:
        raise HTTPException(405 if app.methods_at(request) else 404)

    for path in ("/admin/v2/worker/{rest:path}", "/admin/v2/worker-stats/{rest:path}"):
        app.add_api_route(path, ours, methods=_METHODS, include_in_schema=False)
    for path in ("/admin/v2/{rest:path}", "/admin/v3/packages/{rest:path}", "/lookup/{rest:path}"):
        app.add_api_route(
            path, broker, methods=_METHODS, include_in_schema=False, dependencies=[Depends(context.access.broker)]
        )
