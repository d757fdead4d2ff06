# Makes test/golden/imports: small indexes as FAISS and hnswlib save them, and what they answer themselves.
# python3 -m pip install faiss-cpu hnswlib numpy; python3 test/golden/make_imports.py test/golden/imports
import json
import sys

import faiss
import hnswlib
import numpy as np

out = sys.argv[1]
faiss.omp_set_num_threads(1)
rng = np.random.default_rng(1)
DIM, N, K = 16, 120, 5
rows = rng.standard_normal((N, DIM)).astype("float32")
queries = rng.standard_normal((4, DIM)).astype("float32")
ids = (np.arange(N) * 3 + 7).astype("int64")
answers = {"queries": queries.tolist()}


def note(name, found, distances, n):
    answers[name] = {"ids": found.astype("int64").tolist(), "distances": distances.astype("float64").tolist(), "n": n}


def save(name, index):
    distances, found = index.search(queries, K)
    faiss.write_index(index, f"{out}/{name}.faiss")
    note(name, found, distances, index.ntotal)


for name, metric in [("l2", faiss.METRIC_L2), ("ip", faiss.METRIC_INNER_PRODUCT)]:
    flat = faiss.IndexFlatL2(DIM) if name == "l2" else faiss.IndexFlatIP(DIM)
    flat.add(rows)
    save(f"flat_{name}", flat)
    mapped = (faiss.IndexIDMap if name == "l2" else faiss.IndexIDMap2)(
        faiss.IndexFlatL2(DIM) if name == "l2" else faiss.IndexFlatIP(DIM)
    )
    mapped.add_with_ids(rows, ids)
    save(f"idmap_{name}", mapped)
    graph = faiss.IndexHNSWFlat(DIM, 4, metric)
    graph.hnsw.efSearch = 200
    graph.add(rows)
    save(f"hnsw_{name}", graph)
    lists = faiss.index_factory(DIM, "IVF4,Flat", metric)
    lists.train(rows)
    lists.add_with_ids(rows, ids)
    lists.nprobe = 2
    save(f"ivf_{name}", lists)

for space in ["l2", "ip", "cosine"]:
    index = hnswlib.Index(space=space, dim=DIM)
    index.init_index(max_elements=150, M=6, ef_construction=100, random_seed=3)
    index.set_num_threads(1)
    index.add_items(rows, ids)
    index.mark_deleted(int(ids[5]))
    index.set_ef(120)
    found, distances = index.knn_query(queries, k=K)
    index.save_index(f"{out}/hnswlib_{space}.bin")
    note(f"hnswlib_{space}", found, distances, N - 1)

with open(f"{out}/answers.json", "w") as file:
    json.dump(answers, file)
