"""Training beside FAISS, by turns in one run: seconds of processor time, and the error of what was trained, as JSON.

  python bench/peers/train.py <train_bench> <rows.npy> [--threads 1] [--rounds 2] [--only kmeans,pq,opq]

train_bench is bench/native/train_bench of a build with -DANNEX_TESTS=ON.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

import faiss
import numpy as np

CASES = {
    "kmeans": [("kmeans", 1024, 10)],
    "pq": [("pq", 64, 4), ("pq", 32, 8)],
    "opq": [("opq", 64, 4)],
    "opq8": [("opq", 32, 8)],
}


def timed(work):
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def faiss_kmeans(x, k, iterations):
    means = faiss.Kmeans(x.shape[1], k, niter=iterations, max_points_per_centroid=10**7, seed=1)
    seconds, _ = timed(lambda: means.train(x))
    flat = faiss.IndexFlatL2(x.shape[1])
    flat.add(means.centroids)
    return seconds, float(flat.search(x, 1)[0].mean())


def faiss_codes(x, factory):
    index = faiss.index_factory(x.shape[1], factory)
    seconds, _ = timed(lambda: index.train(x))
    error = 0.0
    for first in range(0, len(x), 10000):
        rows = x[first : first + 10000]
        error += float(((rows - index.sa_decode(index.sa_encode(rows))) ** 2).sum())
    return seconds, error / len(x)


def ours(bench, path, dim, what, a, b, threads, seed):
    command = [bench, path, str(dim), what, str(a), str(b), str(threads), str(seed)]
    environment = dict(os.environ, ANNEX_THREADS=str(threads))
    line = json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)
    return line["cpu"], line["exact" if what == "kmeans" else "error"], line["isa"]


def peer(x, what, a, b):
    if what == "kmeans":
        return faiss_kmeans(x, a, b)
    return faiss_codes(x, f"{'OPQ%d,' % a if what == 'opq' else ''}PQ{a}x{b}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("bench")
    options.add_argument("rows")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--only", default="kmeans,pq,opq")
    o = options.parse_args()
    x = np.ascontiguousarray(np.load(o.rows), dtype=np.float32)
    faiss.omp_set_num_threads(o.threads)
    lines = []
    with tempfile.NamedTemporaryFile(suffix=".f32") as file:
        x.tofile(file.name)
        for what, a, b in (case for name in o.only.split(",") for case in CASES[name]):
            mine, theirs = [], []
            for seed in range(o.rounds):
                mine.append(ours(o.bench, file.name, x.shape[1], what, a, b, o.threads, seed))
                theirs.append(peer(x, what, a, b))
            lines.append(
                {
                    "what": what,
                    "label": f"{what} {a} × {b}" + (" iterations" if what == "kmeans" else " bits"),
                    "ours": [seconds for seconds, _, _ in mine],
                    "faiss": [seconds for seconds, _ in theirs],
                    "error": sum(error for _, error, _ in mine) / sum(error for _, error in theirs),
                    "isa": mine[0][2],
                }
            )
    print(json.dumps(lines))


if __name__ == "__main__":
    main()
