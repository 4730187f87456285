"""The only module that talks to the API server: apply, create once, delete, patch a status, post an event, review a
token.

Plain manifests go in and come back; errors are those of errors.py. Requests are limited in number at a time, not in
rate: API priority and fairness is the server's business.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.exceptions import ApiException

from trainwright_operator import names
from trainwright_operator.errors import ApiError, Conflict, Exists, NotFound, Refused, Unavailable
from trainwright_operator.manifests.owner import Manifest

MERGE, APPLY, JSON = "application/merge-patch+json", "application/apply-patch+yaml", "application/json"
REQUEST_TIMEOUT_S = 30.0
AT_A_TIME = 8
"""Requests under way at once; each connection holds a buffer of 128 KiB."""
PLURALS = {
    "ConfigMap": "configmaps",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "Secret": "secrets",
    "Event": "events",
    "Pod": "pods",
    "Job": "jobs",
    "StatefulSet": "statefulsets",
    "NetworkPolicy": "networkpolicies",
    "Lease": "leases",
    "TokenReview": "tokenreviews",
    names.KIND: names.PLURAL,
}

# The client's own code is not typed.
_load_incluster_config: Any = kubernetes_config.load_incluster_config
_load_kube_config: Any = kubernetes_config.load_kube_config


class Cluster:
    """A connection to one API server."""

    def __init__(self, configuration: Configuration) -> None:
        configuration.connection_pool_maxsize = AT_A_TIME
        self._client: Any = ApiClient(configuration)
        self._places = asyncio.Semaphore(AT_A_TIME)
        self._host = str(configuration.host).rstrip("/")

    @classmethod
    async def connect(cls) -> Cluster:
        """Connect as the pod's ServiceAccount, else as the kubeconfig says."""
        configuration = Configuration()
        if Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists():
            _load_incluster_config(client_configuration=configuration)
        else:
            await _load_kube_config(client_configuration=configuration)
        return cls(configuration)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply under our field manager, taking over fields that others own."""
        path = f"{_path(manifest)}?fieldManager={names.FIELD_MANAGER}&force=true"
        return await self._request("PATCH", path, manifest, APPLY)

    async def create(self, manifest: Manifest) -> Manifest:
        """Create once.

        Raises:
            Exists: an object of that name is there.
        """
        try:
            return await self._request("POST", _path(manifest, collection=True), manifest, JSON)
        except Conflict as error:
            raise Exists(error.status, error.message) from error

    async def get(self, api_version: str, kind: str, namespace: str, name: str) -> Manifest:
        """Read one object.

        Raises:
            NotFound: it is not there.
        """
        return await self._request("GET", _join(api_version, kind, namespace, name))

    async def list(self, api_version: str, kind: str, namespace: str, query: str) -> list[Manifest]:
        """List objects of a namespace that a query (fieldSelector=…, labelSelector=…) picks."""
        answer = await self._request("GET", f"{_join(api_version, kind, namespace)}?{query}")
        return list(answer.get("items") or [])

    async def delete(
        self, api_version: str, kind: str, namespace: str, name: str, *, uid: str, grace_s: int | None = None
    ) -> None:
        """Delete exactly the object with that UID, and what it owns, in the background; gone already is fine."""
        options: Manifest = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            await self._request("DELETE", _join(api_version, kind, namespace, name), options, JSON)
        except (NotFound, Conflict):
            return

    async def patch_status(self, namespace: str, run: str, patch: Mapping[str, Any], resource_version: str) -> Manifest:
        """Merge a patch into a run's status.

        Raises:
            Conflict: the run was written since `resource_version`.
        """
        body = {"metadata": {"resourceVersion": resource_version}, "status": dict(patch)}
        path = _join(f"{names.GROUP}/{names.VERSION}", names.KIND, namespace, run)
        return await self._request("PATCH", f"{path}/status?fieldManager={names.FIELD_MANAGER}", body, MERGE)

    async def patch(self, manifest: Manifest, patch: Manifest) -> Manifest:
        """Merge a patch into any object."""
        return await self._request("PATCH", f"{_path(manifest)}?fieldManager={names.FIELD_MANAGER}", patch, MERGE)

    async def replace(self, manifest: Manifest) -> Manifest:
        """Write an object whole; its resourceVersion must still be the newest.

        Raises:
            Conflict: somebody wrote it in between.
        """
        return await self._request("PUT", _path(manifest), manifest, JSON)

    async def review_token(self, token: str, audience: str) -> Manifest:
        """Ask the API server whose token this is; the answer is TokenReview's status."""
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        answer = await self._request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review, JSON)
        status: Manifest = answer.get("status") or {}
        return status

    async def served_schema(self) -> Manifest:
        """The schema of TrainingRun that the API server serves, as OpenAPI."""
        answer = await self._request("GET", f"/openapi/v3/apis/{names.GROUP}/{names.VERSION}")
        schemas: Manifest = answer.get("components", {}).get("schemas", {})
        return next((s for s in schemas.values() if names.KIND in str(s.get("x-kubernetes-group-version-kind"))), {})

    async def _request(self, method: str, path: str, body: Any = None, content_type: str | None = None) -> Manifest:
        headers = {"Accept": JSON, "User-Agent": names.FIELD_MANAGER} | (
            {"Content-Type": content_type} if content_type else {}
        )
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], "", method, {})
        async with self._places:
            try:
                answer = await self._client.rest_client.request(
                    method, self._host + path, headers=headers, body=body, _request_timeout=REQUEST_TIMEOUT_S
                )
                data = await answer.read()
            except ApiException as error:
                raise _error(error.status, error.body) from error
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise Unavailable(0, f"no answer from the API server: {type(error).__name__}: {error}") from error
        if answer.status >= 400:
            raise _error(answer.status, data)
        parsed: Manifest = json.loads(data) if data else {}
        return parsed


def _path(manifest: Manifest, *, collection: bool = False) -> str:
    meta = manifest["metadata"]
    name = None if collection else meta["name"]
    return _join(manifest["apiVersion"], manifest["kind"], meta["namespace"], name)


def _join(api_version: str, kind: str, namespace: str, name: str | None = None) -> str:
    root = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
    path = f"{root}/namespaces/{namespace}/{PLURALS[kind]}"
    return f"{path}/{name}" if name else path


def _error(status: int | None, body: Any) -> ApiError:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        message = str(json.loads(text).get("message") or text)
    except (ValueError, AttributeError):
        message = text[:500]
    kind: type[ApiError] = {404: NotFound, 409: Conflict, 400: Refused, 403: Refused, 422: Refused}.get(
        status or 0, Unavailable
    )
    return kind(status or 0, message)
