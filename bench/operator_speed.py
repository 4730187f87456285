"""How fast and how quiet the operator is, on a real control plane, beside bare Jobs in the same run.

python -m bench.operator_speed [--repetitions 5] [--burst 300] [--scale 1000]

Rows: from apply to the first pod, one run at a time; from many runs at once to every first pod; with the controller
manager's client limits raised; then idle; a restart; and the writes of one whole lifecycle, from the audit log. Pods
are KWOK's. Medians of interleaved repetitions; writes bench/results/operator.md and operator.json.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import statistics
import threading
import time
from pathlib import Path
from typing import Any

from testcluster.api import Api
from testcluster.control_plane import ControlPlane, Options
from testcluster.nodes import Pool
from tests.controlplane.bare_job import bare_job, wait_until
from tests.controlplane.operator_process import SPEC, SYSTEM, OperatorProcess, finished, training_run

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
POOL = (Pool(name="cpu", count=40, cpu=2000, memory_gib=8000, disk_gib=8000, pods=500),)
RAISED = ("--kube-api-qps=500", "--kube-api-burst=1000")
WAITERS = 4
"""Threads that create objects at once."""
# Without a claim of somebody else's, so that pods are scheduled; without a store, so that one Job follows the other.
QUIET = {**SPEC, "data": {"sources": [{"uri": "hf://datasets/org/rows"}]}, "output": {"uri": "s3://models/chat"}}

Row = tuple[str, str, str]


class Watch:
    """When the first pod of each run or Job was seen."""

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self.seen: dict[str, float] = {}
        self._stop = threading.Event()
        path = f"/api/v1/namespaces/{namespace}/pods"
        threading.Thread(target=self._follow, args=(cluster.api, path), daemon=True).start()

    def _follow(self, api: Api, path: str) -> None:
        for kind, pod in api.follow(path, self._stop):
            labels = pod["metadata"].get("labels", {})
            name = labels.get("trainwright.dev/run") or labels.get("job-name")
            if kind in ("LISTED", "ADDED") and name:
                self.seen.setdefault(name, time.monotonic())


class Bench:
    """One cluster, one operator, one namespace: pods end at once if its name begins with `fast-`, else they stay."""

    def __init__(self, cluster: ControlPlane, operator: OperatorProcess, namespace: str) -> None:
        self.cluster, self.operator = cluster, operator
        self.namespace = namespace
        cluster.api.post("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        wait_until(lambda: _all(cluster, account), timeout_s=10)  # without it pods are refused at first
        self.watch = Watch(cluster, self.namespace)

    def create(self, kind: str, name: str) -> None:
        """Post a run, or a bare Job of one pod."""
        if kind == "run":
            path = f"/apis/trainwright.dev/v1alpha1/namespaces/{self.namespace}/trainingruns"
            self.cluster.api.post(path, json.loads(training_run(name, QUIET)))
        else:
            path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"
            self.cluster.api.post(path, json.loads(bare_job(name)))

    def one(self, kind: str, name: str) -> float:
        """Seconds from the request to its first pod."""
        started = time.monotonic()
        self.create(kind, name)
        wait_until(lambda: name in self.watch.seen, timeout_s=60)
        return self.watch.seen[name] - started

    def burst(self, kind: str, names: list[str]) -> float:
        """Seconds from the first request to the first pod of the last of many."""
        started = time.monotonic()
        parts = [names[number::WAITERS] for number in range(WAITERS)]
        threads = [
            threading.Thread(target=lambda part: [self.create(kind, name) for name in part], args=(part,))
            for part in parts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: all(name in self.watch.seen for name in names), timeout_s=300)
        return max(self.watch.seen[name] for name in names) - started

    def clear(self) -> None:
        """Wait until all Jobs are over, then delete everything, so that no repetition pays for another."""
        jobs, runs = (
            f"/apis/batch/v1/namespaces/{self.namespace}/jobs",
            f"/apis/trainwright.dev/v1alpha1/namespaces/{self.namespace}/trainingruns",
        )
        wait_until(
            lambda: all(_phase(run) in ("Complete", "Failed") for run in _all(self.cluster, runs)), timeout_s=600
        )
        wait_until(lambda: all(_over(job) for job in _all(self.cluster, jobs)), timeout_s=300)
        for path in (runs, jobs):
            self.cluster.api.delete(path, {"propagationPolicy": "Background"})
        wait_until(lambda: not _all(self.cluster, f"/api/v1/namespaces/{self.namespace}/pods"), timeout_s=300)


def _all(cluster: ControlPlane, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.api.get(path)["items"]
    return found


def _phase(run: dict[str, Any]) -> str:
    return str(run.get("status", {}).get("phase"))


def _over(job: dict[str, Any]) -> bool:
    return any(
        c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in job["status"].get("conditions", [])
    )


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def writes(cluster: ControlPlane, since: int) -> tuple[collections.Counter[str], int]:
    """Writes of the administrator other than ours here: the operator's, by verb and resource."""
    events, place = cluster.audit_events(since=since)
    ours = [
        event
        for event in events
        if event["verb"] in ("create", "update", "patch", "delete")
        and event["user"]["username"] == "admin"
        and event.get("userAgent", "").startswith(("trainwright-operator", "kopf"))
    ]
    names = [f"{e['verb']} {e['objectRef'].get('resource')}/{e['objectRef'].get('subresource') or ''}" for e in ours]
    return collections.Counter(name.rstrip("/") for name in names), place


def latency(bench: Bench, count: int) -> list[Row]:
    """One after the other, interleaved with bare Jobs."""
    bare, runs = [], []
    for number in range(count):
        bare.append(bench.one("job", f"lone-job-{number}"))
        runs.append(bench.one("run", f"lone-run-{number}"))
        time.sleep(0.3)
    middle = statistics.median(runs) - statistics.median(bare)
    told = (
        f"bare {_ms(statistics.median(bare))} / {_ms(max(bare))}, run {_ms(statistics.median(runs))} / {_ms(max(runs))}"
    )
    return [
        (f"apply → first pod, {count} in sequence, p50 / slowest", told, ""),
        ("  p50 over the bare Job's", _ms(middle), "≤ 60 ms"),
        ("  slowest", _ms(max(runs)), "≤ 300 ms"),
    ]


def bursts(bench: Bench, count: int, repetitions: int) -> list[Row]:
    """Many at once, with the controller manager's own client limits."""
    bare, runs = [], []
    for repetition in range(repetitions):
        bare.append(bench.burst("job", [f"job-{repetition}-{number}" for number in range(count)]))
        bench.clear()
        runs.append(bench.burst("run", [f"run-{repetition}-{number}" for number in range(count)]))
        bench.clear()
    ratio = statistics.median(run / job for run, job in zip(runs, bare, strict=True))
    told = f"bare {statistics.median(bare):.1f} s, runs {statistics.median(runs):.1f} s, ratio {ratio:.2f}"
    return [(f"{count} at once → every first pod, median of {repetitions}", told, "ratio ≤ 1.2")]


def scale(bench: Bench, count: int) -> list[Row]:
    """A thousand at once with raised limits; then nothing happens; then a restart."""
    seconds = bench.burst("run", [f"many-{number}" for number in range(count)])
    path = f"/apis/trainwright.dev/v1alpha1/namespaces/{bench.namespace}/trainingruns"
    wait_until(lambda: all(_phase(run) == "Complete" for run in _all(bench.cluster, path)), timeout_s=900)
    time.sleep(15)
    rows = [(f"{count} at once, limits raised → every first pod", f"{seconds:.1f} s", "≤ 60 s")]
    rows += _idle(bench, count)
    bench.operator.stop()
    _, place = writes(bench.cluster, 0)
    started = time.monotonic()
    bench.operator.start()
    leading = time.monotonic() - started
    time.sleep(15)
    made, _ = writes(bench.cluster, place)
    made = collections.Counter({name: n for name, n in made.items() if "leases" not in name and "secrets" not in name})
    return [
        *rows,
        (f"restart with {count} runs: leading after", f"{leading:.1f} s", "≤ 20 s"),
        ("  writes to runs and children", f"{sum(made.values())}", "0"),
    ]


def _idle(bench: Bench, count: int) -> list[Row]:
    process = bench.operator.process
    assert process is not None
    _, place = writes(bench.cluster, 0)
    before = cpu_s(process.pid)
    time.sleep(60)
    used = (cpu_s(process.pid) - before) / 60
    made, _ = writes(bench.cluster, place)
    other = sum(number for name, number in made.items() if "leases" not in name)
    return [
        (f"{count} runs idle: writes a minute, the Lease aside", str(other), "0"),
        ("  resident memory", f"{rss_mb(process.pid):.0f} MB", "≤ 120 MB"),
        ("  CPU", f"{used:.1%} of a core", "≤ 5 %"),
    ]


def lifecycle(cluster: ControlPlane) -> list[Row]:
    """All stages of one run, played one after the other; its writes by kind."""
    cluster.api.post("/api/v1/namespaces", {"metadata": {"name": "life"}})
    cluster.pods.script("life", lambda pod: finished(pod, runs_s=2.0))
    _, place = writes(cluster, 0)
    cluster.kubectl("create", "-n", "life", "-f", "-", stdin=training_run("chat", QUIET))
    cluster.kubectl("wait", "-n", "life", "--for=condition=Complete", "trun/chat", "--timeout=60s")
    time.sleep(2)
    made, _ = writes(cluster, place)
    beside = {name: n for name, n in made.items() if "events" in name or "leases" in name or "tokenreviews" in name}
    counted = {name: n for name, n in made.items() if name not in beside}
    told = ", ".join(f"{n} {name}" for name, n in sorted(counted.items()))
    jobs = len(_all(cluster, "/apis/batch/v1/namespaces/life/jobs"))
    return [
        ("writes of a whole lifecycle", f"{sum(counted.values())} ({told})", "≤ 45"),
        ("  beside them", ", ".join(f"{n} {name}" for name, n in sorted(beside.items())), ""),
        ("  Jobs", str(jobs), "≤ 6"),
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def main() -> None:
    """Measure, print the table, write it with its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--burst", type=int, default=300)
    parser.add_argument("--scale", type=int, default=1000)
    options = parser.parse_args()
    rows: list[Row] = []
    for flags in ((), RAISED):
        with ControlPlane(Options(controller_flags=flags, pools=POOL)) as cluster:
            cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "manifests" / "crd.yaml"))
            cluster.kubectl("create", "namespace", SYSTEM)
            time.sleep(2)
            with OperatorProcess(cluster, TRAINWRIGHT_LEASE_SECONDS="15") as operator:
                bench = Bench(cluster, operator, "fast-bench")
                if not flags:
                    rows += latency(Bench(cluster, operator, "lone"), 30)
                    rows += lifecycle(cluster)
                    rows += bursts(bench, options.burst, options.repetitions)
                else:
                    rows += scale(bench, options.scale)
        for row in rows:
            print(*row, sep=" | ", flush=True)
    sizes = f"--repetitions {options.repetitions} --burst {options.burst} --scale {options.scale}"
    command = f"python -m bench.operator_speed {sizes}"
    lines = ["# The operator", "", f"`{command}`, on {os.cpu_count()} cores with the whole control plane on them.", ""]
    lines += ["| what | measured | goal |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    (RESULTS / "operator.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "operator.json").write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
