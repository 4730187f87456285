"""Every environment variable the package reads or sets, in one place.

Read: TRAINWRIGHT_CACHE (where built things are kept), TRAINWRIGHT_BUILT (what the image brings of them), RANK/
WORLD_SIZE/LOCAL_RANK/MASTER_ADDR/MASTER_PORT (the ranks' meeting place), TRAINWRIGHT_VERDICT (file a failing process
writes its verdict to), TRAINWRIGHT_PARENT (process to end with), TRAINWRIGHT_HALVINGS (how often the micro-batch is
halved); in a pod also TRAINWRIGHT_RUN_CONFIG, _POD, _ATTEMPT, _TERMINATION_LOG, _PROGRESS_URL, _PROGRESS_TOKEN,
_PROGRESS_CA and torchrun's PET_* (the gang). Set: thread counts, OpenMP's waiting policy, a rank's place among the
ranks.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

VERDICT = "TRAINWRIGHT_VERDICT"
PARENT = "TRAINWRIGHT_PARENT"
CACHE = "TRAINWRIGHT_CACHE"
BUILT = "TRAINWRIGHT_BUILT"
TERMINATION_LOG = Path("/dev/termination-log")
"""Where Kubernetes looks for the last words of a container."""
LOOPBACK = "127.0.0.1"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)


def rank() -> int:
    """Rank of this process among all training processes; 0 outside training."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Number of training processes; 1 outside training."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """Rank among the training processes of this machine; also the index of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def verdict_file() -> Path | None:
    """Where a failing process leaves its verdict for the launcher."""
    value = os.environ.get(VERDICT)
    return Path(value) if value else None


def threads() -> int:
    """Threads of each of this process's libraries, as its launcher chose them."""
    return int(os.environ.get("OMP_NUM_THREADS") or cpu_quota())


def die_with_parent() -> None:
    """Let the kernel kill this process when the one that started it ends, even by SIGKILL.

    On Linux; elsewhere nothing happens.
    Worker processes call it first too, so that nothing goes on writing into a folder that another attempt works in.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    expected = os.environ.pop(PARENT, None)
    if expected is not None and os.getppid() != int(expected):
        os.kill(os.getpid(), signal.SIGKILL)


def cache_folder() -> Path:
    """Where things that are built once live (the embedding table): $TRAINWRIGHT_CACHE, else ~/.cache/trainwright.

    An unwritable or missing home falls back to a folder of this user under the system's temporary folder.
    """
    chosen = os.environ.get(CACHE) or os.environ.get("XDG_CACHE_HOME")
    folder = Path(chosen or Path("~/.cache").expanduser())
    if not os.environ.get(CACHE):
        folder /= "trainwright"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"trainwright-{os.getuid()}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def built_folder() -> Path | None:
    """Where an image keeps what was built with it; it may be read-only. Laid out as `cache_folder()`."""
    value = os.environ.get(BUILT)
    return Path(value) if value else None


def cpu_quota() -> int:
    """Whole CPUs this process may use: the cgroup's quota (v2 cpu.max, v1 cpu.cfs_quota_us), at most its affinity."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, _cgroup_cpus(Path("/sys/fs/cgroup")) or affinity))


def _cgroup_cpus(root: Path) -> int | None:
    try:
        quota, period = (root / "cpu.max").read_text().split()[:2]
    except (OSError, ValueError):
        try:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return max(1, int(quota) // int(period))


def visible_gpus() -> int:
    """NVIDIA GPUs this process may use: CUDA_VISIBLE_DEVICES if set, else the device files; no driver is called."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([name for name in chosen.split(",") if name.strip() not in ("", "-1")])
    return len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()])


def child_environment(threads: int) -> dict[str, str]:
    """The environment of a stage process: `threads` for every library's pool, an OpenMP that sleeps, not spins.

    Spinning costs a factor of two to three on CPUs that are shared or limited by quota. Variables set by the user win.
    """
    ours = dict.fromkeys(THREAD_VARIABLES, str(threads)) | {
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TQDM_DISABLE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if visible_gpus() == 0:
        ours["DS_ACCELERATOR"] = "cpu"
    return ours | dict(os.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gang:
    """The processes of a stage: `per_node` on each of `nodes`, of which this is number `node_rank`."""

    nodes: int
    node_rank: int
    per_node: int
    address: str
    """Name or address of node 0, where the ranks meet."""
    port: int

    @property
    def count(self) -> int:
        """Ranks on all nodes."""
        return self.nodes * self.per_node


def one_node(processes: int) -> Gang:
    """All processes on this machine."""
    return Gang(nodes=1, node_rank=0, per_node=processes, address=LOOPBACK, port=0)


def gang() -> Gang | None:
    """The gang that this pod is of, by the variables that torchrun reads too; None outside of one."""
    if "PET_NNODES" not in os.environ:
        return None
    nodes, per_node = int(os.environ["PET_NNODES"]), int(os.environ.get("PET_NPROC_PER_NODE", "1"))
    if nodes == 1:
        return one_node(per_node)
    return Gang(
        nodes=nodes,
        node_rank=int(os.environ.get("PET_NODE_RANK", "0")),
        per_node=per_node,
        address=os.environ["PET_MASTER_ADDR"],
        port=int(os.environ["PET_MASTER_PORT"]),
    )


def rank_environment(local: int, gang: Gang, port: int) -> dict[str, str]:
    """What makes a process rank `local` of its node; on one node the ranks meet on the loopback device."""
    variables = {
        "RANK": str(gang.node_rank * gang.per_node + local),
        "LOCAL_RANK": str(local),
        "WORLD_SIZE": str(gang.count),
        "LOCAL_WORLD_SIZE": str(gang.per_node),
        "MASTER_ADDR": gang.address,
        "MASTER_PORT": str(port),
    }
    loopback = {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"} if gang.nodes == 1 else {}
    return variables | loopback


def halvings() -> int:
    """How often the micro-batch is to be halved, since the memory did not suffice."""
    return int(os.environ.get("TRAINWRIGHT_HALVINGS", "0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What the operator tells a pod of its run."""

    name: str
    attempt: int
    run_config: Path
    termination_log: Path
    progress_url: str | None
    progress_token: Path | None
    progress_ca: Path | None


def pod() -> Pod:
    """The pod that this process is PID 1 of; names and numbers default to what a trial by hand needs."""

    def path(name: str) -> Path | None:
        return Path(os.environ[name]) if os.environ.get(name) else None

    return Pod(
        name=os.environ.get("TRAINWRIGHT_POD") or socket.gethostname(),
        attempt=int(os.environ.get("TRAINWRIGHT_ATTEMPT", "1")),
        run_config=path("TRAINWRIGHT_RUN_CONFIG") or Path("/etc/trainwright/run.json"),
        termination_log=path("TRAINWRIGHT_TERMINATION_LOG") or TERMINATION_LOG,
        progress_url=os.environ.get("TRAINWRIGHT_PROGRESS_URL") or None,
        progress_token=path("TRAINWRIGHT_PROGRESS_TOKEN"),
        progress_ca=path("TRAINWRIGHT_PROGRESS_CA"),
    )


def adopt_orphans() -> None:
    """Become the parent of what children leave behind, as PID 1 is anyway; on Linux."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans(known: Set[int]) -> None:
    """Let ended children be gone that nobody waits for; those in `known` are left to whoever started them.

    Only as far as the first ended one that is known: it is waited for a moment later.
    """
    if not hasattr(os, "waitid"):
        return
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid in known:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)
