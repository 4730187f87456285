"""`spec.vectorStore`: embeddings of the training rows, and where they are kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from trainwright.api.cluster import Ref
from trainwright.api.rules import ApiModel
from trainwright.api.scalars import Uri, WebUrl, text_like

Collection = Annotated[
    str,
    *text_like(
        "collection",
        r"[A-Z][A-Za-z0-9_]*",
        "is no name of a Weaviate collection: begin with a capital, then letters, digits and '_'",
        128,
        kind="name",
    ),
]


class ExternalWeaviate(ApiModel):
    """A Weaviate of yours."""

    url: WebUrl
    """Its address: http(s)://HOST[:PORT]."""
    grpc_port: Annotated[int, Field(ge=1, le=65535)] = 50051
    """Port of gRPC (Weaviate's own default)."""
    collection: Collection | None = None
    """Collection that the embeddings go to; absent: one named after the run."""
    secret_ref: Ref | None = None
    """Secret with the key apiKey; on one machine the variable WEAVIATE_API_KEY."""


class VectorStore(ApiModel):
    """Embeddings of the training rows, to search in. Without external: LanceDB on one machine, a Weaviate of the
    run's own on a cluster (cluster.weaviate)."""

    enabled: bool = True
    """False: no embeddings, no store."""
    embedding: Uri | None = None
    """A sentence-transformers folder; absent: the product's own static table."""
    external: ExternalWeaviate | None = None
    """A Weaviate of yours, instead of the run's own."""
