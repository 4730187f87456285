"""The CRD on a real API server: a table of specs, names and changes, and what kubectl prints of the usual mistakes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from trainwright.cli import app
from typer.testing import CliRunner

from testcluster.control_plane import ControlPlane
from testcluster.kubectl import Kubectl
from tests.controlplane.bare_job import wait_until
from tests.controlplane.crd import specs
from tests.controlplane.crd.changes import CHANGES
from tests.controlplane.crd.refused import REFUSED
from tests.controlplane.crd.server import Server, plain, serving
from tests.controlplane.crd.specs import Change, Refused, read, run_of, spec_of
from tests.unit.api.test_yaml_loader import WORDS

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "data" / "crd"
RUN = """\
apiVersion: trainwright.dev/v1alpha1
kind: TrainingRun
metadata:
  name: support-bot
spec:
  model:
    from: hf://meta-llama/Llama-3.2-3B
  data:
    sources:
      - uri: s3://corpus/chat/*.parquet
  training:
    epochs: 3
  output:
    uri: s3://models/support-bot
  cluster:
    nodes: 2
    gpusPerNode: 8
"""
# The mistake → what of RUN is written otherwise.
MISTAKES = {
    "typo": ("epochs: 3", "epoch: 3"),
    "wrong-type": ("epochs: 3", "epochs: three"),
    "not-one-of": ("epochs: 3", "schedule: cosine"),
    "out-of-bounds": ("epochs: 3", "warmup: 3.5"),
    "missing-field": ("      - uri: s3://corpus/chat/*.parquet", "      - weight: 2"),
    "two-of-one": ("epochs: 3", "epochs: 3\n    maxSteps: 1000"),
    "bad-uri": ("from: hf://meta-llama", "from: meta-llama"),
    "local-path": ("uri: s3://corpus/chat/*.parquet", "uri: ./chat.parquet"),
    "bad-name": ("name: support-bot", "name: support.bot-3"),
    "digit-first": ("name: support-bot", "name: 3b-support-bot"),
    "several": ("epochs: 3\n  output:\n    uri: s3", "epochs: 0\n    image: a/b\n  output:\n    uri: hf"),
}
EDITS = {
    "immutable-update": ("epochs: 3", "epochs: 4"),
    "cluster-while-running": ("nodes: 2", "nodes: 4"),
}


@pytest.fixture(scope="module")
def server(control_plane: ControlPlane, crd: None) -> Iterator[Server]:
    """The API server, with a namespace of its own."""
    with serving(control_plane.api) as judge:
        yield judge


@pytest.fixture(scope="module")
def run_before(server: Server) -> Callable[[str], str]:
    """Makes a run with a spec, once, and gives its name."""
    names: dict[str, str] = {}

    def make(text: str) -> str:
        if text not in names:
            names[text] = f"run-{len(names)}"
            server.create(names[text], spec_of(text))
        return names[text]

    return make


@pytest.mark.parametrize("text", specs.ACCEPTED, ids=lambda text: text[:60])
def test_a_good_spec_is_accepted(server: Server, text: str) -> None:
    assert server.judge(run_of(spec_of(text))).message == ""


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.text[:60])
def test_a_bad_spec_is_refused_at_the_field_at_fault(server: Server, row: Refused) -> None:
    verdict = server.judge(run_of(spec_of(row.text)))
    assert row.says in verdict.message
    assert plain(f"spec.{row.field}".removesuffix(".")) in verdict.fields


@pytest.mark.parametrize("text", specs.EMPTY)
def test_a_name_without_a_value_is_absent(server: Server, text: str) -> None:
    assert server.judge(run_of(read(f"{specs.BASE}{text}\n"))).is_accepted


@pytest.mark.parametrize("name", specs.GOOD_NAMES)
def test_a_name_that_jobs_can_have_is_accepted(server: Server, name: str) -> None:
    assert server.judge(run_of(spec_of(""), name=name)).is_accepted


@pytest.mark.parametrize("name", specs.BAD_NAMES)
def test_any_other_name_is_refused_with_its_letters_and_length(server: Server, name: str) -> None:
    verdict = server.judge(run_of(spec_of(""), name=name))
    assert "must be 1 to 40 characters of a-z, 0-9 and '-', begin with a letter" in verdict.message
    assert "Jobs and Services are named after it" in verdict.message
    assert verdict.fields == {"metadata.name"}


@pytest.mark.parametrize("change", CHANGES, ids=lambda row: f"{row.before[:30]} | {row.text[:40]}")
def test_a_change_has_its_verdict(server: Server, run_before: Callable[[str], str], change: Change) -> None:
    verdict = server.judge_patch(run_before(change.before), read(change.text))
    if not change.says:
        assert verdict.message == ""
    else:
        assert change.says in verdict.message
        assert f"spec.{change.field}" in verdict.fields


def in_order(text: str) -> str:
    """The API server tells broken rules in any order."""
    first, *lines = text.splitlines(keepends=True)
    return first + "".join(sorted(lines, key=lambda line: (line.startswith("* <nil>"), line)))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_kubectl_and_validate_tell_a_mistake_with_its_cure(
    kubectl: Kubectl, server: Server, golden: Callable[[Path, str], None], tmp_path: Path, mistake: str
) -> None:
    text = RUN.replace(*MISTAKES[mistake])
    applied = kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=text)
    assert applied.returncode == 1
    file = tmp_path / "run.yaml"
    file.write_text(text, "utf-8")
    validated = CliRunner().invoke(app, ["validate", "--cluster", str(file)])
    assert validated.exit_code == 2
    said = validated.output.replace(str(file), "run.yaml")
    told = (
        f"$ kubectl apply -f - <run.yaml\n{in_order(applied.stderr)}\n$ trainwright validate --cluster run.yaml\n{said}"
    )
    golden(GOLDEN / f"{mistake}.txt", told)


@pytest.mark.parametrize("edit", EDITS)
def test_kubectl_tells_why_an_edit_is_refused(
    kubectl: Kubectl, server: Server, namespace: str, golden: Callable[[Path, str], None], edit: str
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=RUN)
    applied = kubectl.run("apply", "-n", namespace, "-f", "-", stdin=RUN.replace(*EDITS[edit]))
    assert applied.returncode == 1
    golden(GOLDEN / f"{edit}.txt", f"$ kubectl apply -f - <run.yaml\n{applied.stderr}")


def test_kubectl_finds_shows_and_explains_runs(kubectl: Kubectl, server: Server, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=RUN)
    kubectl("apply", "-n", namespace, "-f", "-", stdin=RUN.replace("name: support-bot", "name: other"))
    status = GOLDEN.parent / "api" / "status" / "failed.yaml"
    kubectl(
        "patch",
        "trun",
        "support-bot",
        "-n",
        namespace,
        "--subresource=status",
        "--type=merge",
        f"--patch-file={status}",
    )
    header, shown = kubectl("get", "trun", "-n", namespace, "--field-selector=status.phase=Failed").splitlines()
    assert header.split() == ["NAME", "PHASE", "STAGE", "PROGRESS", "ETA", "LOSS", "REASON", "AGE"]
    assert shown.split()[:6] == ["support-bot", "Failed", "train", "8%", "2.3127", "GpuOutOfMemory"]
    assert "other" in kubectl("get", "trainwright", "-n", namespace)
    assert kubectl("get", "trun", "-n", namespace, "--field-selector=spec.cluster.queueName=team-a") == ""
    explain = ("explain", "trainingrun.spec.training.schedule")
    wait_until(lambda: kubectl.run(*explain).returncode == 0)
    assert re.search(r"Cosine\s+Linear\s+Constant", kubectl(*explain))
    assert "Default: Cosine." in kubectl(*explain)


def test_a_status_is_written_to_the_subresource_alone(kubectl: Kubectl, server: Server, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=f"{RUN}status:\n  phase: Complete\n")
    assert "status" not in kubectl.json("get", "trun", "support-bot", "-n", namespace)


def test_kubectl_reads_words_of_yaml_as_we_do(kubectl: Kubectl, server: Server) -> None:
    head, _, _ = RUN.partition("spec:")
    texts = "---\n".join(f"{head}spec:\n  word: {text}\n" for text, _ in WORDS)
    made = kubectl(
        "create", "--dry-run=client", "--validate=false", "-o", "jsonpath={.spec}{'\\n'}", "-f", "-", stdin=texts
    )
    words = [json.loads(line).get("word") for line in made.splitlines()]
    assert list(map(as_64_bits, words)) == [as_64_bits(value) for _, value in WORDS]


def as_64_bits(value: Any) -> str:
    """Type and value, as Go holds them: what is no int64 is a float64."""
    return repr(float(value) if isinstance(value, int) and value >= 2**63 else value)
