"""What pods tell while they work: an HTTPS server that takes their posts and keeps the newest of each pod in memory.

`POST /runs/NAMESPACE/NAME/pod` is the launcher's own report; `POST /runs/NAMESPACE/NAME/status` speaks the protocol
of Kubeflow Trainer, so that a user's Hugging Face script reports without a line of code. A token counts if its
audience names exactly this run (UID too), its user is the run's ServiceAccount, and the pod it is bound to is one of
the run's.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from trainwright.contract import PodProgress

from trainwright_operator import names
from trainwright_operator.cluster import Cluster
from trainwright_operator.errors import ApiError
from trainwright_operator.metrics import Metrics
from trainwright_operator.observed import ObservedRun
from trainwright_operator.store import Key, Store
from trainwright_operator.world import Told

BODY_BYTES = 64 * 1024
"""Kubeflow's own limit."""
TRUST_S = 60.0
"""So long a token that passed TokenReview is taken without asking again."""
log = logging.getLogger(__name__)


class TrainerMetric(BaseModel):
    """A figure of Kubeflow's protocol."""

    name: str = Field(max_length=64)
    value: str = Field(max_length=64)


class TrainerStatus(BaseModel):
    """Kubeflow's trainerStatus."""

    model_config = ConfigDict(populate_by_name=True)

    progress: int | None = Field(None, alias="progressPercentage", ge=0, le=100)
    remaining_s: int | None = Field(None, alias="estimatedRemainingSeconds", ge=0)
    metrics: list[TrainerMetric] = Field(default_factory=list, max_length=256)


class TrainerPost(BaseModel):
    """What a Hugging Face Trainer posts."""

    model_config = ConfigDict(populate_by_name=True)

    status: TrainerStatus = Field(alias="trainerStatus")


class ProgressServer:
    """Takes posts from pods."""

    def __init__(self, cluster: Cluster, store: Store, metrics: Metrics, wake: Callable[[Key], None]) -> None:
        self._cluster, self._store, self._metrics, self._wake = cluster, store, metrics, wake
        self._trusted: dict[str, tuple[float, str, str]] = {}
        self._runner: web.AppRunner | None = None

    async def start(self, port: int, context: ssl.SSLContext) -> None:
        """Listen."""
        application = web.Application(client_max_size=BODY_BYTES)
        application.router.add_post("/runs/{namespace}/{name}/{what:pod|status}", self._post)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, port=port, ssl_context=context).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        key = (request.match_info["namespace"], request.match_info["name"])
        answer = await self._take(request, key)
        self._metrics.posts.labels(status=str(answer.status)).inc()
        return answer

    async def _take(self, request: web.Request, key: Key) -> web.Response:
        run = self._store.runs.get(key)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if run is None or not token:
            return web.json_response({"error": "no such run, or no token"}, status=401)
        try:
            pod = await self._pod_of(token, run)
        except ApiError as error:
            log.warning("TokenReview failed: %s", error)
            return web.json_response({"error": "the token could not be checked, try again"}, status=503)
        if pod is None:
            return web.json_response({"error": "this token does not speak for this run"}, status=403)
        try:
            progress = _read(await request.read(), request.match_info["what"], pod)
        except ValidationError as error:
            return web.json_response({"error": str(error)[:500]}, status=422)
        self._store.told[key][pod] = Told(progress=progress, heard=datetime.now(UTC))
        self._wake(key)
        return web.json_response({})

    async def _pod_of(self, token: str, run: ObservedRun) -> str | None:
        """The name of the run's live pod that a token is bound to; None if it may not speak for this run."""
        now = time.monotonic()
        checked, pod, uid = self._trusted.get(token, (0.0, "", ""))
        if uid == run.uid and now - checked < TRUST_S:
            return pod if self._is_live(run, pod) else None
        audience = names.audience(run.namespace, run.name, run.uid)
        status = await self._cluster.review_token(token, audience)
        user = status.get("user") or {}
        account = run.spec.get("cluster", {}).get("serviceAccountName") or names.service_account(run.name)
        right_user = user.get("username") == f"system:serviceaccount:{run.namespace}:{account}"
        bound = (user.get("extra") or {}).get("authentication.kubernetes.io/pod-name") or [""]
        if not status.get("authenticated") or audience not in (status.get("audiences") or ()) or not right_user:
            return None
        if not self._is_live(run, bound[0]):
            return None
        self._trusted = {known: entry for known, entry in self._trusted.items() if now - entry[0] < TRUST_S}
        self._trusted[token] = (now, bound[0], run.uid)
        return str(bound[0])

    def _is_live(self, run: ObservedRun, pod: str) -> bool:
        _, pods = self._store.children(run)
        newest = {each.group: max(p.attempt for p in pods if p.group == each.group) for each in pods}
        return any(each.name == pod and not each.is_over and each.attempt == newest[each.group] for each in pods)


def _read(body: bytes, what: str, pod: str) -> PodProgress:
    if what == "pod":
        return PodProgress.model_validate_json(body).model_copy(update={"pod": pod})
    post = TrainerPost.model_validate_json(body)
    figures = {metric.name: metric.value for metric in post.status.metrics}
    return PodProgress.model_validate(
        {
            "pod": pod,
            "attempt": 1,
            "stage": "train",
            "done": post.status.progress,
            "total": 100,
            "unit": "percent",
            "figures": figures,
            "ranks": [],
        }
    )
