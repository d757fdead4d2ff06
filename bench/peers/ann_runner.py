"""Runs one approximate index from PyPI for a sweep: python ann_runner.py <system>.

lines.py takes the requests; ann_runner.ts answers the same ones. Times are taken in this process, around the peer's own
call.
"""

import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ann  # noqa: E402  (found through the path above)
import lines  # noqa: E402


def private_bytes():
    """Memory of this process alone: mapped files, such as the rows, do not count. NaN where the system does not tell."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def percentile(ascending, p):
    """Nearest rank."""
    return float(ascending[max(0, int(np.ceil(p * len(ascending) / 100 - 1e-9)) - 1)])


class Runner:
    def __init__(self, system):
        self.system = ann.SYSTEMS[system]
        self.index = self.base = self.queries = self.metric = None

    def hello(self, _):
        return {"version": self.system.version()}

    def data(self, request):
        self.metric = request["metric"]
        self.base = np.load(request["base"], mmap_mode="r")
        self.queries = np.ascontiguousarray(np.load(request["query"]))
        return {"rows": len(self.base), "queries": len(self.queries)}

    def build(self, request):
        before = private_bytes()
        index = self.system(self.base.shape[1], self.metric, request["params"])
        cpu, start = time.process_time(), time.perf_counter()
        if request["load"]:
            index.load(request["file"])
        else:
            index.build(self.base, request["threads"])
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        after = private_bytes()
        if not request["load"]:
            index.save(request["file"])
        self.index = index
        grown = None if before is None or after is None else after - before
        return {"seconds": seconds, "cpu": cpu, "bytes": grown, "fileBytes": os.path.getsize(request["file"])}

    def run(self, request):
        """`passes` times over the first `queries` queries: one call for all of them, or one for each."""
        k, passes = request["k"], request["passes"]
        queries = self.queries[: request["queries"]]
        self.index.set(request["params"], request["threads"])
        latency = None
        if request["mode"] == "batch":
            cpu, start = time.process_time(), time.perf_counter()
            for _ in range(passes):
                self.index.search(queries, k)
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        else:
            rows = [queries[at : at + 1] for at in range(len(queries))]
            times = np.empty(passes * len(rows))
            at = 0
            cpu, start = time.process_time(), time.perf_counter()
            for _ in range(passes):
                for row in rows:
                    begin = time.perf_counter()
                    self.index.search(row, k)
                    times[at] = time.perf_counter() - begin
                    at += 1
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            times.sort()
            latency = {
                "mean": float(times.mean() * 1000),
                **{name: percentile(times, p) * 1000 for name, p in PERCENTILES},
            }
        if request.get("ids"):
            ids, _ = self.index.search(queries, k)
            np.asarray(ids).reshape(-1, k).astype("<f8").tofile(request["ids"])
        return {"seconds": seconds, "cpu": cpu, "latency": latency}


PERCENTILES = (("p50", 50), ("p95", 95), ("p99", 99), ("p999", 99.9))


lines.serve(Runner(sys.argv[1]), "hello", "data", "build", "run")
