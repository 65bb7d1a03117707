"""The REST server. Needs `mnemos-os[serve]`; run it with `mnemos serve`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mnemos import __version__
from mnemos.distribution import install_command
from mnemos.errors import MnemosError
from mnemos.serve.idempotency import IdempotencyStore
from mnemos.serve.limits import ServerLimits
from mnemos.store.open import open_rates
from mnemos.system import Mnemos

try:
    from fastapi import FastAPI
    from starlette.responses import Response
except ImportError as error:
    raise MnemosError(f"the server needs the packages fastapi and uvicorn: {install_command('serve')}.") from error

from mnemos.serve import agent_routes, checks, key_routes, models, page_models, page_routes, problems, routes, static
from mnemos.serve.access import Access, Forbidden, SpacePool
from mnemos.serve.checks import DiskCheck
from mnemos.serve.dispatch import QUESTIONS, Direct, Dispatcher, Strict
from mnemos.serve.keys import KeyStore
from mnemos.serve.metrics import Metrics
from mnemos.serve.middleware import OPEN_PATHS, Guard
from mnemos.serve.problems import Problem

SPACE, CUBE = "/v1/spaces/{space}", "/v1/spaces/{space}/cubes/{id}"
# matched in this order: frequent requests come first
ROUTES: tuple[tuple[str, str, Callable[..., Any], Any], ...] = (
    ("POST", f"{SPACE}/search", routes.search, models.Hits),
    ("POST", f"{SPACE}/cubes", routes.add, models.Cubes),
    ("POST", f"{SPACE}/context", routes.context, None),
    ("GET", "/health", checks.health, None),
    ("GET", "/metrics", routes.metrics, None),
    ("GET", "/ready", checks.ready, None),
    ("GET", "/v1/key", key_routes.own_key, None),
    ("GET", "/v1/keys", key_routes.list_keys, None),
    ("POST", "/v1/keys", key_routes.add_key, None),
    ("DELETE", "/v1/keys/{id}", key_routes.revoke_key, None),
    ("GET", "/v1/vocabulary", page_routes.vocabulary, page_models.VocabularyShape),
    ("GET", "/v1/spaces", routes.spaces, None),
    ("DELETE", SPACE, routes.remove_space, None),
    ("GET", f"{SPACE}/cubes", routes.list_cubes, models.Page),
    ("GET", CUBE, routes.get, models.Cube),
    ("PATCH", CUBE, routes.update, models.Cube),
    ("DELETE", CUBE, routes.delete, None),
    ("GET", f"{CUBE}/history", routes.history, models.Cubes),
    ("GET", f"{CUBE}/links", routes.links_of, None),
    ("POST", f"{CUBE}/rollback", routes.rollback, models.Cube),
    ("POST", f"{SPACE}/search_sessions", routes.search_sessions, None),
    ("GET", f"{SPACE}/facts", routes.facts, None),
    ("GET", f"{SPACE}/decisions", routes.decisions, None),
    ("GET", f"{SPACE}/links", routes.links, None),
    ("POST", f"{SPACE}/consolidate", routes.consolidate, None),
    ("POST", f"{SPACE}/forget", routes.forget, None),
    ("POST", f"{SPACE}/verify", routes.verify, None),
    ("POST", f"{SPACE}/quarantined", routes.quarantined, None),
    ("GET", f"{SPACE}/timeline", page_routes.timeline, page_models.TimelineShape),
    ("GET", f"{SPACE}/graph", page_routes.graph, page_models.GraphShape),
    ("GET", f"{CUBE}/curve", page_routes.curve, page_models.CurveShape),
    ("GET", f"{SPACE}/fading", page_routes.due_soon, page_models.FadingShape),
    ("GET", f"{SPACE}/forms", page_routes.forms, None),
    ("GET", f"{SPACE}/runs", page_routes.runs, None),
    ("POST", f"{SPACE}/used", routes.used, models.Cube),
    ("POST", f"{CUBE}/pin", page_routes.pin, models.Cube),
    ("POST", f"{SPACE}/archive", page_routes.archive, None),
    ("POST", f"{SPACE}/apply-policy", page_routes.apply_policy, None),
    ("GET", f"{SPACE}/policy", page_routes.policy, page_models.PolicyShape),
    ("PUT", f"{SPACE}/policy", page_routes.set_policy, page_models.PolicyShape),
    ("GET", f"{SPACE}/timezone", routes.timezone, models.Zone),
    ("PUT", f"{SPACE}/timezone", routes.set_timezone, models.Zone),
    ("GET", f"{SPACE}/stats", routes.stats, None),
    ("GET", f"{SPACE}/audit", routes.audit, None),
    ("GET", f"{SPACE}/export", routes.export, None),
    ("POST", f"{SPACE}/import", routes.import_, None),
    ("POST", f"{SPACE}/import/file", routes.import_file, None),
    ("GET", f"{SPACE}/tasks", agent_routes.tasks, None),
    ("GET", f"{SPACE}/tasks/{{name}}", agent_routes.task, None),
    ("POST", f"{SPACE}/tasks/{{name}}", agent_routes.change_task, None),
    ("GET", f"{SPACE}/tasks/{{name}}/history", agent_routes.task_history, None),
    ("GET", f"{SPACE}/tasks/{{name}}/prompt", agent_routes.task_prompt, None),
    ("GET", f"{SPACE}/cases/{{name}}", agent_routes.cases, None),
    ("POST", f"{SPACE}/cases/{{name}}", agent_routes.add_case, None),
    ("POST", f"{SPACE}/cases/{{name}}/outcome", agent_routes.outcome, None),
    ("POST", f"{SPACE}/cases/{{name}}/find", agent_routes.find_cases, None),
    ("POST", f"{SPACE}/cases/{{name}}/prompt", agent_routes.cases_prompt, None),
    ("GET", f"{SPACE}/labels/{{name}}", agent_routes.labels, None),
    ("POST", f"{SPACE}/labels/{{name}}", agent_routes.learn_labels, None),
    ("POST", f"{SPACE}/labels/{{name}}/predict", agent_routes.predict_labels, None),
    ("GET", f"{SPACE}/working/{{name}}", agent_routes.working, None),
    ("POST", f"{SPACE}/working/{{name}}", agent_routes.change_working, None),
    ("POST", f"{SPACE}/working/{{name}}/prompt", agent_routes.working_prompt, None),
    ("GET", f"{SPACE}/beliefs/{{name}}", agent_routes.beliefs, None),
    ("POST", f"{SPACE}/beliefs/{{name}}", agent_routes.learn, None),
    ("POST", f"{SPACE}/beliefs/{{name}}/prompt", agent_routes.beliefs_prompt, None),
    ("POST", f"{SPACE}/answers", agent_routes.put_answer, None),
    ("POST", f"{SPACE}/answers/find", agent_routes.find_answer, None),
    ("DELETE", f"{SPACE}/answers", agent_routes.drop_answers, None),
    ("GET", f"{SPACE}/answers/categories", agent_routes.categories, None),
    ("PUT", f"{SPACE}/answers/categories", agent_routes.set_categories, None),
)


def create_app(memory: Mnemos, keys: KeyStore, limits: ServerLimits | None = None) -> FastAPI:
    """Return an ASGI app that serves a memory. The caller closes the memory and the keys."""
    limits, metrics = limits or ServerLimits(), Metrics()
    app = FastAPI(
        title="Mnemos", version=__version__, description="Memory for AI agents.",
        docs_url=None, redoc_url=None, redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # else an environment variable could turn it on
    )  # fmt: skip
    app.state.pool = SpacePool(memory)
    app.state.limits = limits
    app.state.metrics = metrics
    app.state.stopping = False  # set during shutdown: /ready then answers 503
    app.state.disk_check = DiskCheck(memory.stores, keys)
    app.state.keys = keys
    app.state.page = static.load()
    app.state.idempotency = IdempotencyStore(memory.root, limits.replay_seconds)
    dispatcher = Dispatcher(limits.requests)
    error = {"model": models.ProblemShape, "description": "An error as application/problem+json."}
    for method, path, route, model in ROUTES:
        status = 201 if route.__name__ in ("add", "add_key") else 200
        responses: dict[int | str, dict[str, Any]] = {"default": error} | ({status: {"model": model}} if model else {})
        secured: dict[str, Any] | None = None if path in OPEN_PATHS else {"security": [{"HTTPBearer": []}]}
        question = route in QUESTIONS
        app.router.add_api_route(
            path, dispatcher.wrap(route), methods=[method], status_code=status, responses=responses,
            response_model=None, name=route.__name__.strip("_"), openapi_extra=secured,
            route_class_override=Direct if question else Strict,
        )  # fmt: skip
    for path, route in (("/", static.home), (static.BASE, static.file), (static.BASE + "{name:path}", static.file)):
        app.add_api_route(path, route, methods=["GET", "HEAD"], include_in_schema=False, response_model=None)
    problems.install(app, str(memory.root))

    async def forbidden(request: Any, error: Any) -> Response:
        return Problem(403, str(error), "Forbidden")

    app.add_exception_handler(Forbidden, forbidden)
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        """Return the OpenAPI document with the bearer key that `Guard` requires."""
        described = describe()
        described.setdefault("components", {})["securitySchemes"] = {"HTTPBearer": {"type": "http", "scheme": "bearer"}}
        return described

    app.openapi = openapi  # type: ignore[method-assign]
    app.state.rates = open_rates(memory.root)
    app.add_middleware(Guard, keys=keys, limits=limits, metrics=metrics, rates=app.state.rates)
    return app


def add_proxy(
    app: FastAPI,
    memory: Mnemos,
    upstream: str,
    upstream_key: str | None,
    *,
    in_place: bool = False,
    answers: bool = False,
) -> None:
    """Add the routes of the OpenAI-compatible proxy. Any valid key may chat; its rights limit what is recalled and stored.

    Raises InvalidInput if `upstream` is not an http(s) address, and for `answers` without an embedder.
    """
    from mnemos.serve.proxy import make_proxy

    app.include_router(
        make_proxy(
            memory, upstream, upstream_key=upstream_key, open_space=_open_space, in_place=in_place, answers=answers
        )
    )


def add_model(app: FastAPI, memory: Mnemos, model: str, *, in_place: bool = True, **options: Any) -> None:
    """Add the same routes, answered by a model that is loaded here: a folder, or "smollm2". Rights are as in `add_proxy`.

    Raises InvalidInput for a folder without a model that can be served.
    """
    from mnemos.serve.local import make_local
    from mnemos.serve.local_model import load

    app.include_router(make_local(memory, load(model, **options), open_space=_open_space, in_place=in_place))


def _open_space(request: Any, name: str, right: str) -> Any:
    return Access(request.app.state.pool, request.state.key, name).open(right, create=right == "write")
