"""Runs peers from PyPI for the benchmarks.

lines.py takes the requests. Times are taken inside this process, around the peer's own call. The number of threads is
fixed when the process starts, because OpenMP and BLAS read it only then.
"""

import os
import resource
import sys
import time

THREADS = int(sys.argv[1])
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(THREADS)

import numpy as np  # noqa: E402  (after the variables above)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lines  # noqa: E402  (found through the path above)


def resident_bytes():
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Faiss:
    """IndexFlat, the exact index of FAISS."""

    def __init__(self, base, metric):
        import faiss

        faiss.omp_set_num_threads(THREADS)
        self.index = faiss.IndexFlatL2(base.shape[1]) if metric == "l2" else faiss.IndexFlatIP(base.shape[1])
        self.index.add(base)

    @staticmethod
    def version():
        import faiss

        return f"{faiss.__version__} ({faiss.get_compile_options().strip()})"

    def search(self, queries, k):
        distances, ids = self.index.search(queries, k)
        return ids, distances


class UsearchFunction:
    """usearch.index.search(exact=True): brute force over a NumPy array, no index."""

    def __init__(self, base, metric):
        self.base = base
        self.metric = "l2sq" if metric == "l2" else "ip"

    @staticmethod
    def version():
        import usearch

        return usearch.__version__

    def search(self, queries, k):
        from usearch.index import search

        found = search(self.base, queries, k, self.metric, exact=True, threads=THREADS)
        return found.keys, found.distances


class UsearchIndex:
    """usearch.Index.search(exact=True): brute force over the rows of an index, with the cheapest graph there is."""

    version = UsearchFunction.version

    def __init__(self, base, metric):
        from usearch.index import Index

        self.index = Index(
            ndim=base.shape[1],
            metric="l2sq" if metric == "l2" else "ip",
            dtype="f32",
            connectivity=2,
            expansion_add=1,
        )
        self.index.add(np.arange(len(base)), base, threads=THREADS)

    def search(self, queries, k):
        found = self.index.search(queries, k, exact=True, threads=THREADS)
        return found.keys, found.distances


class Hnswlib:
    """BFIndex, the exact index of hnswlib."""

    def __init__(self, base, metric):
        import hnswlib

        self.index = hnswlib.BFIndex(space=metric, dim=base.shape[1])
        self.index.init_index(max_elements=len(base))
        self.index.set_num_threads(THREADS)
        self.index.add_items(base)

    @staticmethod
    def version():
        from importlib.metadata import version

        return version("hnswlib")

    def search(self, queries, k):
        return self.index.knn_query(queries, k)


SYSTEMS = {
    "faiss": Faiss,
    "usearch-function": UsearchFunction,
    "usearch-index": UsearchIndex,
    "hnswlib": Hnswlib,
}


class Runner:
    def __init__(self):
        self.base = self.queries = self.metric = None
        self.systems = {}

    def hello(self, _):
        versions, missing = {}, {}
        for name, system in SYSTEMS.items():
            try:
                versions[name] = system.version()
            except Exception as error:  # an import may fail in any way
                missing[name] = f"{type(error).__name__}: {error}"
        python = ".".join(map(str, sys.version_info[:3]))
        return {"versions": versions, "missing": missing, "python": python, "numpy": np.__version__}

    def data(self, request):
        dim = request["dim"]
        self.metric = request["metric"]
        self.base = np.fromfile(request["base"], dtype="<f4").reshape(-1, dim)
        self.queries = np.fromfile(request["query"], dtype="<f4").reshape(-1, dim)
        return {"rows": len(self.base), "queries": len(self.queries)}

    def build(self, request):
        before = resident_bytes()
        start = time.perf_counter()
        self.systems[request["system"]] = SYSTEMS[request["system"]](self.base, self.metric)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "bytes": resident_bytes() - before}

    def drop(self, request):
        del self.systems[request["system"]]
        return {}

    def run(self, request):
        system, k = self.systems[request["system"]], request["k"]
        queries = self.queries[: request["queries"]]
        cpu, start = time.process_time(), time.perf_counter()
        if request["mode"] == "batch":
            system.search(queries, k)
        else:
            for at in range(len(queries)):
                system.search(queries[at : at + 1], k)
        return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}

    def result(self, request):
        system, k = self.systems[request["system"]], request["k"]
        ids, distances = system.search(self.queries[: request["queries"]], k)
        np.asarray(ids).reshape(-1, k).astype("<f8").tofile(request["ids"])
        np.asarray(distances).reshape(-1, k).astype("<f4").tofile(request["distances"])
        return {}


lines.serve(Runner(), "hello", "data", "build", "drop", "run", "result")
