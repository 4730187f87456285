"""kubectl with one kubeconfig, and the check that this kubeconfig leads to a cluster made for tests."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from testcluster.api import Object

TEST_CLUSTER = "trainwright.dev/test-cluster"


class KubectlError(RuntimeError):
    """kubectl ended with an exit code other than 0; the message has what it said."""


class Kubectl:
    """Call it with kubectl's arguments; it returns what kubectl prints."""

    def __init__(self, program: Path, kubeconfig: Path) -> None:
        self.program = program
        self.kubeconfig = kubeconfig

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return its standard output. Raises: KubectlError with its standard error."""
        done = self.run(*arguments, stdin=stdin)
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def json(self, *arguments: str, stdin: str | None = None) -> Object:
        """Run kubectl with `-o json` and return the object."""
        found: Object = json.loads(self(*arguments, "-o", "json", stdin=stdin))
        return found

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl, whatever comes of it."""
        cache = self.kubeconfig.parent / "kubectl"
        return subprocess.run(
            [str(self.program), *arguments],
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(cache)},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )


def require_test_cluster(kubectl: Kubectl) -> None:
    """Raise RuntimeError if the kubeconfig's current context is not a cluster made for tests."""
    labels = kubectl.json("get", "namespace", "kube-system")["metadata"].get("labels", {})
    if labels.get(TEST_CLUSTER) != "true":
        raise RuntimeError(
            f"the current context of {kubectl.kubeconfig} is no test cluster, and tests would change it: "
            f"its namespace kube-system lacks the label {TEST_CLUSTER}=true"
        )
