"""Approximate indexes from PyPI, for ann_runner.py: build or load, set search parameters, search.

Each takes float32 rows and a metric that is l2 or ip; cosine comes as ip over rows of unit length.
"""

import numpy as np


class Hnswlib:
    """hnswlib.Index: M, efConstruction; search: ef."""

    def __init__(self, dim, metric, params):
        import hnswlib

        self.index = hnswlib.Index(space=metric, dim=dim)
        self.params = params

    @staticmethod
    def version():
        import hnswlib  # noqa: F401  (a version without the module would be of no use)
        from importlib.metadata import version

        return version("hnswlib")

    def build(self, base, threads):
        m, ef = self.params.get("M", 16), self.params.get("efConstruction", 200)
        self.index.init_index(max_elements=len(base), M=m, ef_construction=ef, random_seed=self.params.get("seed", 100))
        self.index.add_items(base, num_threads=threads)

    def save(self, path):
        self.index.save_index(path)

    def load(self, path):
        self.index.load_index(path)

    def set(self, params, threads):
        self.index.set_ef(params["ef"])
        self.threads = threads

    def search(self, queries, k):
        return self.index.knn_query(queries, k, num_threads=self.threads)


class Usearch:
    """usearch.Index: M, efConstruction, dtype; search: ef."""

    def __init__(self, dim, metric, params):
        from usearch.index import Index

        self.index = Index(
            ndim=dim,
            metric="l2sq" if metric == "l2" else "ip",
            dtype=params.get("dtype", "f32"),
            connectivity=params.get("M", 16),
            expansion_add=params.get("efConstruction", 200),
        )

    @staticmethod
    def version():
        import usearch

        return usearch.__version__

    def build(self, base, threads):
        self.index.add(np.arange(len(base)), base, threads=threads)

    def save(self, path):
        self.index.save(path)

    def load(self, path):
        self.index.load(path)

    def set(self, params, threads):
        self.index.expansion_search = params["ef"]
        self.threads = threads

    def search(self, queries, k):
        found = self.index.search(queries, k, threads=self.threads)
        return found.keys, found.distances


class SymphonyQG:
    """rabitqlib.SymqgIndex, SymphonyQG by its authors: degree, efConstruction; search: ef."""

    def __init__(self, dim, metric, params):
        import rabitqlib

        self.type = rabitqlib.SymqgIndex
        self.params = params
        self.index = self.type(dim, params["degree"], metric)

    @staticmethod
    def version():
        import rabitqlib  # noqa: F401  (a version without the module would be of no use)
        from importlib.metadata import version

        return version("rabitqlib")

    def build(self, base, threads):
        self.index.build(np.ascontiguousarray(base), self.params["efConstruction"], threads)

    def save(self, path):
        self.index.save(path)

    def load(self, path):
        self.index = self.type.load(path)

    def set(self, params, threads):
        self.ef, self.threads = params["ef"], threads

    def search(self, queries, k):
        return self.index.search(queries, k, self.ef, self.threads)


class Faiss:
    """faiss.index_factory: factory, seed (of the lists and of pq); search: whatever ParameterSpace knows (nprobe, efSearch, k_factor_rf, …)."""

    def __init__(self, dim, metric, params):
        import faiss

        self.faiss = faiss
        kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self.index = faiss.index_factory(dim, params["factory"], kind)
        if "seed" in params:
            lists = faiss.downcast_index(faiss.extract_index_ivf(self.index))
            lists.cp.seed = lists.pq.cp.seed = params["seed"]
        self.space = faiss.ParameterSpace()

    @staticmethod
    def version():
        import faiss

        return f"{faiss.__version__} ({faiss.get_compile_options().strip()})"

    def build(self, base, threads):
        self.faiss.omp_set_num_threads(threads)
        base = np.ascontiguousarray(base)
        self.index.train(base)
        self.index.add(base)

    def save(self, path):
        self.faiss.write_index(self.index, path)

    def load(self, path):
        self.index = self.faiss.read_index(path)

    def set(self, params, threads):
        for name, value in params.items():
            self.space.set_index_parameter(self.index, name, value)
        self.faiss.omp_set_num_threads(threads)

    def search(self, queries, k):
        distances, ids = self.index.search(queries, k)
        return ids, distances


SYSTEMS = {"hnswlib": Hnswlib, "usearch": Usearch, "symphonyqg": SymphonyQG, "faiss": Faiss}
