"""The programs of a test cluster: found in KUBEBUILDER_ASSETS, or built once from Go modules into a cache of their own.

In: a program's name. Out: its path. Every module is pinned by the hashes in modules/NAME/go.sum. A program that is
there is never built again; one that is not is built under another name and renamed, so that an interrupted build
leaves nothing that looks finished. The cache is outside the checkout, and Go's own caches stay the user's.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = "TRAINWRIGHT_TEST_CACHE"
ASSETS = "KUBEBUILDER_ASSETS"
MODULES = Path(__file__).parent / "modules"
KUBERNETES = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How one program is built; `version_variable` is what the linker writes the module's version into."""

    name: str
    folder: str
    module: str
    package: str
    version_variable: str = ""

    @property
    def version(self) -> str:
        """The version that go.mod asks for."""
        text = (MODULES / self.folder / "go.mod").read_text()
        found = re.search(rf"^(?:require )?\t?{re.escape(self.module)} (v\S+)", text, re.MULTILINE)
        assert found, f"{self.folder}/go.mod does not require {self.module}"
        return found[1]

    @property
    def linker_flags(self) -> str:
        """Without symbols, and with the version that the program reports."""
        if not self.version_variable:
            return "-s -w"
        major, minor, _ = self.version.removeprefix("v").split(".")
        values = {self.version_variable: self.version}
        if self.module == "k8s.io/kubernetes":
            values |= {f"{KUBERNETES}.gitMajor": major, f"{KUBERNETES}.gitMinor": minor}
        return " ".join(["-s -w", *(f"-X {variable}={value}" for variable, value in values.items())])

    @property
    def path(self) -> Path:
        """Where it is, once built: one folder for each module, version and set of hashes."""
        module = MODULES / self.folder
        pinned = (module / "go.mod").read_bytes() + (module / "go.sum").read_bytes()
        digest = hashlib.sha256(pinned).hexdigest()[:8]
        return cache_folder() / "programs" / f"{self.folder}-{self.version}-{digest}" / self.name


def _kubernetes(name: str) -> Program:
    return Program(
        name=name,
        folder="kubernetes",
        module="k8s.io/kubernetes",
        package=f"k8s.io/kubernetes/cmd/{name}",
        version_variable=f"{KUBERNETES}.gitVersion",
    )


def _simple(name: str, folder: str, module: str, package: str = "", version_variable: str = "") -> Program:
    return Program(
        name=name, folder=folder, module=module, package=package or module, version_variable=version_variable
    )


CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok", "helm")
PROGRAMS = {
    program.name: program
    for program in (
        _simple("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
        *map(_kubernetes, ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")),
        _simple("kwok", "kwok", "sigs.k8s.io/kwok", "sigs.k8s.io/kwok/cmd/kwok"),
        _simple(
            "helm", "helm", "helm.sh/helm/v3", "helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3/internal/version.version"
        ),
        # What a real node needs beside; built only when asked for.
        *map(_kubernetes, ("kubelet", "kube-proxy")),
        _simple("coredns", "coredns", "github.com/coredns/coredns"),
        _simple(
            "weaviate-server",
            "weaviate",
            "github.com/weaviate/weaviate",
            "github.com/weaviate/weaviate/cmd/weaviate-server",
        ),
    )
}


class CannotBuild(RuntimeError):
    """A program is missing and this machine cannot build it; the message says why."""


def cache_folder() -> Path:
    """Where programs and clusters are kept: $TRAINWRIGHT_TEST_CACHE, else ~/.cache/trainwright-testcluster."""
    given = os.environ.get(CACHE)
    return Path(given).absolute() if given else Path.home() / ".cache" / "trainwright-testcluster"


def find(name: str) -> Path | None:
    """The program's path if it is there already: from KUBEBUILDER_ASSETS first, then the cache."""
    given = os.environ.get(ASSETS)
    places = [Path(given) / name] if given else []
    return next((path for path in (*places, PROGRAMS[name].path) if os.access(path, os.X_OK)), None)


def can_build() -> bool:
    """Whether this machine has the Go toolchain."""
    return shutil.which("go") is not None


def build(names: Sequence[str] = CONTROL_PLANE, *, tell: Callable[[str], None] = lambda line: None) -> dict[str, Path]:
    """Return the programs' paths, having built those that are missing, one at a time.

    `tell` gets a line for every program built, with its time. Raises: CannotBuild without Go, or if a build fails.
    """
    return {name: find(name) or _build(PROGRAMS[name], tell) for name in names}


def _build(program: Program, tell: Callable[[str], None]) -> Path:
    go = shutil.which("go")
    if go is None:
        raise CannotBuild(
            f"{program.name} {program.version} is not in {program.path.parent}, and there is no `go` on PATH to build "
            f"it: install Go {_go_version(program)} or newer, or name a folder with the programs in {ASSETS}"
        )
    program.path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(program.path.parent / "lock"):
        if program.path.exists():
            return program.path
        began = time.monotonic()
        unfinished = program.path.with_name(f".{program.name}.unfinished")
        _compile(go, program, unfinished)
        unfinished.rename(program.path)
        size_mb = program.path.stat().st_size / 1e6
        tell(f"built {program.name} {program.version} in {time.monotonic() - began:.0f} s ({size_mb:.0f} MB)")
    return program.path


def _compile(go: str, program: Program, target: Path) -> None:
    command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags={program.linker_flags}"]
    # Without cgo the programs need no C compiler, and run on any Linux of this architecture.
    done = subprocess.run(
        [*command, "-o", str(target), program.package],
        cwd=MODULES / program.folder,
        env=os.environ | {"CGO_ENABLED": "0", "GOWORK": "off"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-20:])
        raise CannotBuild(f"`go build {program.package}` ended with {done.returncode}:\n{last}")


def _go_version(program: Program) -> str:
    lines = (MODULES / program.folder / "go.mod").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("go "))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
