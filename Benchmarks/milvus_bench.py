"""What a user would run instead, with pymilvus.

    milvus_bench.py URI fill NAME ROWS DIM [at]  rows of (id, text, v), with a field that says when a row was written
    milvus_bench.py URI export NAME FILE         iterate, then pandas to Parquet: the script of the tutorials
    milvus_bench.py URI insert NAME ROWS DIM BATCH
    milvus_bench.py URI drop NAME
    milvus_bench.py URI append NAME ROWS DIM FIRST
    milvus_bench.py URI settle NAME              compact until there is nothing to compact
    milvus_bench.py URI latency NAME FILE        search until there is such a file; prints how often, and the median and 99 % milliseconds
    milvus_bench.py URI part NAME ROWS DIM SHARE SEED    a share of those rows' keys, with other vectors
    milvus_bench.py URI put NAME FILE            delete and insert the rows of a Parquet file
    milvus_bench.py URI change NAME ROWS DIM SHARE PATTERN SEED [at]    other vectors for a share of the rows: scattered, or one run of keys (clustered)
"""
import sys
import time

import numpy as np
from pymilvus import Collection, CollectionSchema, DataType, FieldSchema, connections, utility

uri, verb, name, *rest = sys.argv[1:]
connections.connect(uri=uri)


has_at = rest[-1:] == ["at"]


def make(dim):
    if utility.has_collection(name):
        utility.drop_collection(name)
    return Collection(name, CollectionSchema([
        FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("text", DataType.VARCHAR, max_length=256),
        FieldSchema("v", DataType.FLOAT_VECTOR, dim=dim),
        *([FieldSchema("at", DataType.INT64)] if has_at else [])]), consistency_level="Strong", num_shards=1)


def rows(start, count, dim):
    random = np.random.default_rng(start)
    v = random.standard_normal((count, dim), dtype=np.float32)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    return [list(range(start, start + count)), [f"the text of row number {i}, of no great length" for i in range(start, start + count)], v]


if verb == "fill":
    count, dim = int(rest[0]), int(rest[1])
    c = make(dim)
    for start in range(0, count, 5000):
        ids, texts, v = rows(start, min(5000, count - start), dim)
        c.insert([ids, texts, list(v)] + ([[time.time_ns()] * len(ids)] if has_at else []))
    c.flush()
    c.create_index("v", {"index_type": "FLAT", "metric_type": "L2", "params": {}})
    c.load()
    print(c.num_entities)
elif verb == "part":
    count, dim, share, seed = int(rest[0]), int(rest[1]), float(rest[2]), int(rest[3])
    keys = np.sort(np.random.default_rng(seed).choice(count, int(count * share), replace=False))
    c = make(dim)
    for part in (keys[i:i + 5000] for i in range(0, len(keys), 5000)):
        _, texts, v = rows(10**9 * seed + int(part[0]), len(part), dim)
        c.insert([part.tolist(), texts, list(v)])
    c.flush()
    c.create_index("v", {"index_type": "FLAT", "metric_type": "L2", "params": {}})
    c.load()
elif verb == "put":
    import pandas
    table = pandas.read_parquet(rest[0])
    c = Collection(name)
    for start in range(0, len(table), 1000):
        part = table[start:start + 1000]
        c.delete(f"id in {part['id'].tolist()}", consistency_level="Strong")
        c.insert([part["id"].tolist(), part["text"].tolist(), list(part["v"])])
    c.flush()
elif verb == "change":
    count, dim, share, seed = int(rest[0]), int(rest[1]), float(rest[2]), int(rest[4])
    random = np.random.default_rng(seed)
    changed = int(count * share)
    if rest[3] == "clustered":
        start = int(random.integers(0, count - changed + 1))
        keys = np.arange(start, start + changed)
    else:
        keys = np.sort(random.choice(count, changed, replace=False))
    c = Collection(name)
    for part in (keys[i:i + 5000] for i in range(0, len(keys), 5000)):
        _, _, v = rows(10**9 * seed + int(part[0]), len(part), dim)
        c.upsert([part.tolist(), [f"the text of row number {i}, changed" for i in part], list(v)] + ([[time.time_ns()] * len(part)] if has_at else []))
    c.flush()
    print(changed)
elif verb == "append":
    c, count, dim, start = Collection(name), *map(int, rest)
    ids, texts, v = rows(start, count, dim)
    c.insert([ids, texts, list(v)])
    c.flush()
elif verb == "settle":
    # Until the server has no small segments left to put together.
    c = Collection(name)
    for _ in range(3):
        c.compact()
        c.wait_for_compaction_completed()
        time.sleep(2)
elif verb == "latency":
    import os
    c = Collection(name)
    random, took = np.random.default_rng(1), []
    dim = next(field for field in c.schema.fields if field.name == "v").params["dim"]
    while not os.path.exists(rest[0]):
        begun = time.perf_counter()
        c.search([random.standard_normal(dim, dtype=np.float32).tolist()], "v", {"metric_type": "L2", "params": {}}, limit=10)
        took.append((time.perf_counter() - begun) * 1000)
    print(len(took), round(float(np.median(took)), 1), round(float(np.percentile(took, 99)), 1))
elif verb == "drop":
    utility.drop_collection(name)
elif verb == "export":
    import pandas as pd
    c = Collection(name)
    found = []
    iterator = c.query_iterator(batch_size=4000, expr="id >= 0", output_fields=["id", "text", "v"])
    while page := iterator.next():
        found.extend(page)
    pd.DataFrame(found).to_parquet(rest[0])
    print(len(found))
elif verb == "insert":
    count, dim, batch = map(int, rest)
    c = make(dim)
    prepared = [rows(start, min(batch, count - start), dim) for start in range(0, count, batch)]
    prepared = [[ids, texts, list(v)] for ids, texts, v in prepared]
    begin = time.perf_counter()
    for part in prepared:
        c.insert(part)
    c.flush()
    print(f"{time.perf_counter() - begin:.2f}")
    utility.drop_collection(name)
elif verb == "bulk":
    # Milvus's own import of a file that lies in its data folder: what a user waits for, and how long the job itself says it took.
    c = make(int(rest[1]))
    begun = time.time()
    task = utility.do_bulk_insert(name, [rest[0]])
    while True:
        state = utility.get_bulk_insert_state(task)
        if state.state_name == "Completed" or "ailed" in state.state_name:
            break
        time.sleep(0.05)
    assert state.state_name == "Completed", state.infos
    print(round(time.time() - begun, 2))
