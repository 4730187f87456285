"""Every environment variable the package reads or sets, in one place.

Read: TRAINWRIGHT_CACHE (where built things are kept), RANK/WORLD_SIZE/LOCAL_RANK/MASTER_ADDR/MASTER_PORT (the ranks'
meeting place), TRAINWRIGHT_VERDICT (file a failing process writes its verdict to), TRAINWRIGHT_PARENT (process to end
with). Set: thread counts, OpenMP's waiting policy, a rank's place among the ranks.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

VERDICT = "TRAINWRIGHT_VERDICT"
PARENT = "TRAINWRIGHT_PARENT"
CACHE = "TRAINWRIGHT_CACHE"
_PR_SET_PDEATHSIG = 1
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


def rank_environment(number: int, count: int, port: int) -> dict[str, str]:
    """What makes a process rank `number` of `count` on this machine, meeting the others on the loopback device."""
    return {
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
    }
