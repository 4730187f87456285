"""Every object the operator makes, as the API server gets it: pure functions from a run to manifests."""

from trainwright_operator.manifests.gang import gang_service
from trainwright_operator.manifests.jobs import job
from trainwright_operator.manifests.run_objects import run_objects
from trainwright_operator.manifests.weaviate import weaviate_objects, weaviate_secret

__all__ = ["gang_service", "job", "run_objects", "weaviate_objects", "weaviate_secret"]
