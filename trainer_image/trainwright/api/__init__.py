"""The TrainingRun, v1alpha1: models of spec and status, their rules, the YAML loader and what is made of them.

`load_run(path)` reads and judges a file; `Spec` and `Status` are what the rest of the product works with. Importing
this costs no torch, polars or numpy.
"""

from __future__ import annotations

from trainwright.api.cluster import Cluster, Resources, StageSettings, Weaviate, Workspace
from trainwright.api.data import Audit, Columns, Data, Source, Split
from trainwright.api.evaluation import Evaluation, Gate, Generate, Output, Probe
from trainwright.api.load import load_run, load_runs, read_text
from trainwright.api.metadata import Metadata
from trainwright.api.model import Model, Scratch, Tokenizer
from trainwright.api.not_built import NOT_BUILT, unbuilt
from trainwright.api.prepare import (
    Balance,
    Clean,
    Deduplicate,
    Language,
    Offensive,
    PersonalData,
    Prepare,
    RareWords,
    Relevance,
)
from trainwright.api.run import API_VERSION, KIND, Spec, TrainingRun, resolve
from trainwright.api.spec_rules import FIXED
from trainwright.api.status import Status
from trainwright.api.training import Checkpoint, EarlyStopping, Lora, Training
from trainwright.api.validation import Problem, problems, problems_of_change, problems_of_object
from trainwright.api.vector_store import ExternalWeaviate, VectorStore
from trainwright.api.without_effect import without_effect

__all__ = [
    "API_VERSION",
    "FIXED",
    "KIND",
    "NOT_BUILT",
    "Audit",
    "Balance",
    "Checkpoint",
    "Clean",
    "Cluster",
    "Columns",
    "Data",
    "Deduplicate",
    "EarlyStopping",
    "Evaluation",
    "ExternalWeaviate",
    "Gate",
    "Generate",
    "Language",
    "Lora",
    "Metadata",
    "Model",
    "Offensive",
    "Output",
    "PersonalData",
    "Prepare",
    "Probe",
    "Problem",
    "RareWords",
    "Relevance",
    "Resources",
    "Scratch",
    "Source",
    "Spec",
    "Split",
    "StageSettings",
    "Status",
    "Tokenizer",
    "Training",
    "TrainingRun",
    "VectorStore",
    "Weaviate",
    "Workspace",
    "load_run",
    "load_runs",
    "problems",
    "problems_of_change",
    "problems_of_object",
    "read_text",
    "resolve",
    "unbuilt",
    "without_effect",
]
