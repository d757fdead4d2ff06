# Makes test/golden/faiss: small indexes of many kinds as FAISS saves them, and what it answers from them.
# python3 -m pip install faiss-cpu numpy; python3 test/golden/make_faiss.py test/golden/faiss
import json
import sys

import faiss
import numpy as np

out = sys.argv[1]
faiss.omp_set_num_threads(1)
rng = np.random.default_rng(7)
DIM, N, K = 8, 90, 5
MIX = rng.standard_normal((48, 48))  # so that dimensions hang together, and lie around no zero


def draw(n, dim):
    return (rng.standard_normal((n, dim)) @ MIX[:dim, :dim] / 3 + 0.5).astype("float32")


DATA = {dim: (draw(600, dim), draw(N, dim), draw(4, dim)) for dim in (DIM, 12, 40)}
ids = (np.arange(N) * 3 + 7).astype("int64")
L2, IP = faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT
answers = {"queries": {dim: data[2].tolist() for dim, data in DATA.items()}, "indexes": {}}


def save(name, index, kind, options, *, own_ids=False, twin=None, **more):
    """`offset`: FAISS's distances lack a part of the query. `loose`: it rounds its tables; what is noted is exact.
    `twin`: the same index in smaller blocks, for FAISS decodes none of larger ones rightly."""
    train, rows, queries = DATA[index.d]
    if not index.is_trained:
        index.train(train)
    index.add_with_ids(rows, ids) if own_ids else index.add(rows)
    distances, found = index.search(queries, K)
    faiss.write_index(index, f"{out}/{name}.faiss")
    note = {"class": kind, "dim": index.d, "metric": "l2" if index.metric_type == L2 else "ip", "options": options}
    note.update(ids=found.tolist(), distances=distances.astype("float64").tolist(), **more)
    answers["indexes"][name] = note
    some = [int(i) for i in (ids if own_ids else np.arange(N))[[0, 41, 89]]]
    inner = faiss.try_extract_index_ivf(index)
    if inner is not None:
        inner.set_direct_map_type(faiss.DirectMap.Hashtable)
    try:
        note["rows"] = {i: (twin or index).reconstruct(i).astype("float64").tolist() for i in some}
    except RuntimeError:
        pass  # there are indexes that cannot
    if more.get("loose"):
        every = np.stack([(twin or index).reconstruct(i) for i in range(N)])
        far = -queries @ every.T if note["metric"] == "ip" else ((queries[:, None] - every) ** 2).sum(2)
        note["all"] = far.astype("float64").tolist()


def ivf(factory, metric, dim=DIM, nprobe=2):
    index = faiss.index_factory(dim, factory, metric)
    inner = faiss.downcast_index(faiss.extract_index_ivf(index))
    if hasattr(inner, "do_polysemous_training"):
        inner.do_polysemous_training = False  # which takes minutes
    inner.nprobe = nprobe
    return index


both = [("l2", L2), ("ip", IP)]
for name, metric in both:
    for sq in ("SQ4", "SQ6", "SQ8", "SQfp16", "SQbf16"):
        save(f"{sq.lower()}_{name}", faiss.index_factory(DIM, sq, metric), "FlatIndex", {})
    for sq in ("SQ8", "SQfp16"):
        graph = faiss.index_factory(DIM, f"HNSW4,{sq}", metric)
        graph.hnsw.efSearch = 90
        save(f"hnsw_{sq.lower()}_{name}", graph, "HnswIndex", {"efSearch": 90})
        save(f"ivf_{sq.lower()}_{name}", ivf(f"IVF4,{sq}", metric), "IvfIndex", {"nprobe": 2}, own_ids=True)
        bare = ivf(f"IVF4,{sq}", metric)
        bare.by_residual = False
        save(f"ivf_{sq.lower()}_plain_{name}", bare, "IvfIndex", {"nprobe": 2})
    save(f"ivf_flat40_{name}", ivf("IVF4,Flat", metric, 40), "IvfIndex", {"nprobe": 2})
    save(f"ivf_graph_{name}", ivf("IVF4_HNSW4,Flat", metric), "IvfIndex", {"nprobe": 2})
    for pq in ("PQ4", "PQ4x4", "PQ2x5"):
        save(f"ivf_{pq.lower()}_{name}", ivf(f"IVF4,{pq}", metric), "IvfIndex", {"nprobe": 2}, own_ids=True)
        save(f"{pq.lower()}_{name}", faiss.index_factory(DIM, f"{pq}np", metric), "IvfIndex", {})
    bare = ivf("IVF4,PQ4x4", metric)
    bare.by_residual = False
    save(f"ivf_pq4x4_plain_{name}", bare, "IvfIndex", {"nprobe": 2})
    save(f"ivf_pq3x4_{name}", ivf("IVF4,PQ3x4", metric, 12), "IvfIndex", {"nprobe": 2})
    for pq in ("PQ4x4fs", "PQ4x4fsr"):
        save(f"ivf_{pq.lower()}_{name}", ivf(f"IVF4,{pq}", metric, nprobe=4), "IvfIndex", {"nprobe": 4}, loose=True)
    twin = ivf("IVF4,PQ3x4fs", metric, 12, 4)
    save(f"ivf_pq3x4fs_{name}", twin, "IvfIndex", {"nprobe": 4}, loose=True)
    wide = ivf("IVF4,PQ3x4fs_64", metric, 12, 4)
    save(f"ivf_pq3x4fs_64_{name}", wide, "IvfIndex", {"nprobe": 4}, loose=True, twin=twin)
    save(f"pq4x4fs_{name}", faiss.index_factory(DIM, "PQ4x4fs", metric), "IvfIndex", {}, loose=True)
    save(f"opq_{name}", ivf("OPQ4,IVF4,PQ4x4", metric), "IvfIndex", {"nprobe": 2}, own_ids=True)
    save(f"opq_plain_{name}", ivf("OPQ4,IVF4,PQ4x4fs", metric, nprobe=4), "IvfIndex", {"nprobe": 4}, loose=True)
    save(f"opq_short_{name}", ivf("OPQ2_4,IVF4,PQ2x4", metric), "IvfIndex", {"nprobe": 2}, offset=name == "l2")
    save(f"turned_{name}", ivf("RR8,IVF4,PQ4x4", metric), "IvfIndex", {"nprobe": 2})
    save(f"turned_flat_{name}", faiss.index_factory(DIM, "RR8,Flat", metric), "FlatIndex", {})
    for refine in ("RFlat", "Refine(SQ8)", "Refine(SQfp16)"):
        index = ivf(f"OPQ4,IVF4,PQ4x4,{refine}", metric)
        index.k_factor = 4
        short = refine.lower().replace("refine(", "").replace(")", "")
        save(f"refine_{short}_{name}", index, "IvfIndex", {"nprobe": 2, "rerankFactor": 4})
    index = faiss.index_factory(DIM, "PQ4x4np,RFlat", metric)
    index.k_factor = 4
    save(f"refine_pq_{name}", index, "IvfIndex", {"rerankFactor": 4})
    mapped = ivf("IDMap2,OPQ4,IVF4,PQ4x4", metric)
    save(f"idmap_opq_{name}", mapped, "IvfIndex", {"nprobe": 2}, own_ids=True)
    index = ivf("OPQ4,IVF4,PQ4x4,RFlat", metric)
    index.k_factor = 4
    save(f"idmap_refine_{name}", faiss.IndexIDMap2(index), "IvfIndex", {"nprobe": 2, "rerankFactor": 4}, own_ids=True)
    save(f"idmap_ivf_{name}", faiss.IndexIDMap2(ivf("IVF4,Flat", metric)), "IvfIndex", {"nprobe": 2}, own_ids=True)
    graph = faiss.IndexHNSWPQ(DIM, 4, 4, 4, metric) if metric == L2 else faiss.index_factory(DIM, "HNSW4,SQ8", metric)
    graph.hnsw.efSearch = 90
    save(f"idmap_hnsw_{name}", faiss.IndexIDMap2(graph), "HnswIndex", {"efSearch": 90}, own_ids=True)
save("pca_l2", ivf("PCA4,IVF4,PQ2x4", L2), "IvfIndex", {"nprobe": 2}, offset=True)
bare = ivf("PCA8,IVF4,PQ4x4", L2)
faiss.downcast_index(faiss.extract_index_ivf(bare)).by_residual = False
save("pca_plain_l2", bare, "IvfIndex", {"nprobe": 2})
save("pca_flat_l2", faiss.index_factory(DIM, "PCA4,Flat", L2), "FlatIndex", {}, offset=True)
save("unit_ip", faiss.index_factory(DIM, "L2norm,Flat", IP), "FlatIndex", {}, cosine=True)
save("unit_ivf_ip", ivf("L2norm,IVF4,Flat", IP), "IvfIndex", {"nprobe": 2}, cosine=True)
save("unit_hnsw_ip", faiss.index_factory(DIM, "L2norm,HNSW4", IP), "HnswIndex", {"efSearch": 90}, cosine=True)

for name, factory, metric in [
    ("rabitq", "IVF4,RaBitQ", L2),
    ("whitened", "PCAW4,Flat", L2),
    ("unit_ivf", "L2norm,IVF4,Flat", L2),
    ("unit_twice", "RR8,L2norm,Flat", IP),
    ("refine_flat", "SQ8,RFlat", L2),
    ("nsg", "NSG4,Flat", L2),
    ("pq12", "PQ1x9np", L2),
    ("moved_ip", "PCA4,Flat", IP),
]:
    index = faiss.index_factory(DIM, factory, metric)
    index.train(DATA[DIM][0])
    if name == "nsg":
        index.add(DATA[DIM][0])
    faiss.write_index(index, f"{out}/refused_{name}.faiss")

with open(f"{out}/answers.json", "w") as file:
    json.dump(json.loads(json.dumps(answers), parse_float=lambda x: float(f"{float(x):.8g}")), file)
    file.write("\n")
