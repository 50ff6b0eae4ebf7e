"""Fills real Milvus servers and compares collections, with the pymilvus that goes with each server.

    milvus.py URI GENERATION fill SCENARIO NAME     makes a collection NAME; prints what is in it as JSON
    milvus.py URI GENERATION compare A B            compares two collections: rows, schema, indexes, partitions; prints JSON
    milvus.py URI GENERATION drop NAME
    milvus.py URI GENERATION write NAME SECONDS     inserts, deletes and upserts all the time

What Milvault restored is compared here, by another client than Milvault's own.
"""
import json
import os
import struct
import sys
import time
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import pymilvus
from pymilvus import Collection, CollectionSchema, DataType, FieldSchema, connections, utility

uri, generation, verb, *rest = sys.argv[1:]
is_standalone = generation in ("2.3.5", "2.2.16")
is_lite2, is_lite3 = generation == "lite-2.5.1", generation == "lite-3.2.2"
token = {}
if "@" in uri:
    uri, credentials = uri.split("@")
    token = {"user": credentials.split(":")[0], "password": credentials.split(":")[1]}
connections.connect(uri=uri, timeout=30, **token)
random = np.random.default_rng(20261123)


def unit(count, dim):
    v = random.standard_normal((count, dim)).astype(np.float32)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def vector_field(dim=8, name="v"):
    return FieldSchema(name, DataType.FLOAT_VECTOR, dim=dim)


def index_and_load(collection, field="v", load=True, **kind):
    index = kind or ({"index_type": "FLAT", "metric_type": "L2", "params": {}} if is_lite2
                     else {"index_type": "HNSW", "metric_type": "L2", "params": {"M": 8, "efConstruction": 64}})
    collection.create_index(field, index)
    if load:
        collection.load()


def create(name, fields, **more):
    schema = CollectionSchema(fields, description=more.pop("description", "a test's collection"),
                              enable_dynamic_field=more.pop("dynamic", False), **more.pop("schema", {}))
    return Collection(name, schema, consistency_level="Strong", **more)


# ---- Scenarios: each is a claim about what survives ----

def uniform(name):
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("t", DataType.VARCHAR, max_length=100), vector_field()])
    for start in range(0, 30000, 5000):
        c.insert([list(range(start, start + 5000)), [f"row {i}" for i in range(start, start + 5000)], list(unit(5000, 8))])
    c.flush()
    index_and_load(c)
    c.insert([list(range(30000, 31000)), [f"unflushed {i}" for i in range(1000)], list(unit(1000, 8))])
    c.delete(f"id in {list(range(100, 200))}")


def skewed(name):
    top = 2**63 - 2 if is_standalone else 2**63 - 1  # no query of a standalone server returns 2^63-1: a test of its own
    keys = set(range(-2**63, -2**63 + 300)) | set(range(top - 300, top + 1)) | set(range(-500, 500))
    keys |= {int(k) for k in random.integers(-2**63, 2**63 - 1000, 3000, dtype=np.int64)}
    keys |= set(range(10**15, 10**15 + 20000))
    keys = list(keys)
    random.shuffle(keys)
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), vector_field(4)])
    for start in range(0, len(keys), 4000):
        part = keys[start:start + 4000]
        c.insert([part, list(unit(len(part), 4))])
    c.flush()
    index_and_load(c)


def strings(name):
    prefix = "a very long prefix that all of these share " * 4
    keys = ["", " ", "\"", "'", "\\", "\\\\", "\\n", "a\nb", "\n", "a\r\nb", "a\tb", "\x00", "nul\x00key", "\x01", "\x7f", "%", "{}", "{x}",
            "é", "e\u0301", "😀", "中文", "\uffff", "\U0010ffff", "\u2028", "z" * 10000, "k" * 65535, "or 1 == 1", "\" or k != \""]
    if not is_lite2:
        keys += ["\r", "a\rb"]  # Lite 2.5 cannot name these in an expression: a test of its own
    keys += [f"{prefix}{i:05d}" for i in range(20000)]
    keys += [f"key\\{i}\"quoted\"" for i in range(1000)]
    c = create(name, [FieldSchema("k", DataType.VARCHAR, is_primary=True, max_length=65535), vector_field(4)])
    for start in range(0, len(keys), 2000):
        part = keys[start:start + 2000]
        c.insert([part, list(unit(len(part), 4))])
    c.flush()
    index_and_load(c)


def returns(name):
    """Keys with a lone carriage return, between others."""
    keys = [f"k{i:05d}" for i in range(3000)] + [f"k{i:05d}\rx" for i in range(0, 3000, 10)] + ["z\r"]
    c = create(name, [FieldSchema("k", DataType.VARCHAR, is_primary=True, max_length=100), vector_field(4)])
    c.insert([keys, list(unit(len(keys), 4))])
    c.flush()
    index_and_load(c)


def everything(name):
    n = 500
    fields = [FieldSchema("id", DataType.INT64, is_primary=True, description="the key"),
              FieldSchema("b", DataType.BOOL), FieldSchema("i8", DataType.INT8), FieldSchema("i16", DataType.INT16),
              FieldSchema("i32", DataType.INT32), FieldSchema("i64", DataType.INT64), FieldSchema("f", DataType.FLOAT),
              FieldSchema("d", DataType.DOUBLE), FieldSchema("s", DataType.VARCHAR, max_length=200, description="text"),
              FieldSchema("j", DataType.JSON), vector_field(16)]
    floats = random.integers(0, 2**32, n, dtype=np.uint32).view(np.float32)
    floats[~np.isfinite(floats)] = 1e-45
    floats[:6] = [0.0, -0.0, 1e-45, 3.4028235e38, np.inf, -np.inf]
    doubles = random.integers(0, 2**64, n, dtype=np.uint64).view(np.float64)
    doubles[~np.isfinite(doubles)] = 5e-324
    rows = [{"id": i - 100, "b": i % 3 == 0, "i8": i % 256 - 128, "i16": i * 131 % 65536 - 32768, "i32": i * 16777259 % 2**32 - 2**31,
             "i64": i * 36893488147419103 % 2**64 - 2**63, "f": floats[i], "d": float(doubles[i]), "s": "ünïcode \"q\" \\ \n " * (i % 5),
             "j": {"a": i, "list": [1, 2.5, "x", None], "deep": {"b": {"c": "é"}}}, "v": unit(1, 16)[0].tolist()} for i in range(n)]
    dynamic = {"dynamic": True}
    if generation != "2.2.16":
        fields.append(FieldSchema("a", DataType.ARRAY, element_type=DataType.INT32, max_capacity=10))
        fields.append(FieldSchema("as", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=5, max_length=50))
        fields.append(FieldSchema("af", DataType.ARRAY, element_type=DataType.FLOAT, max_capacity=5))
        fields.append(FieldSchema("ab", DataType.ARRAY, element_type=DataType.BOOL, max_capacity=5))
        for i, row in enumerate(rows):
            row.update({"a": list(range(i % 11)), "as": ["", "é", "\"x\""][:i % 4], "af": [0.1, -0.0, 1e-40][:i % 4], "ab": [True, False][:i % 3]})
    if is_lite2:
        fields += [FieldSchema("bv", DataType.BINARY_VECTOR, dim=32), FieldSchema("h", DataType.FLOAT16_VECTOR, dim=8),
                   FieldSchema("bh", DataType.BFLOAT16_VECTOR, dim=8), FieldSchema("sp", DataType.SPARSE_FLOAT_VECTOR)]
        for i, row in enumerate(rows):
            row["bv"] = random.bytes(4)
            row["h"] = random.integers(0, 2**16, 8, dtype=np.uint16).view(np.float16)
            row["bh"] = random.bytes(16)
            row["sp"] = {int(k): float(v) for k, v in zip(sorted({5, 2**32 - 2, i}), [0.5, 1.25, -3e-5])}
    if is_lite3:
        fields += [FieldSchema("n", DataType.INT64, nullable=True), FieldSchema("ns", DataType.VARCHAR, max_length=50, nullable=True),
                   FieldSchema("nj", DataType.JSON, nullable=True), FieldSchema("nf", DataType.FLOAT, nullable=True),
                   FieldSchema("na", DataType.ARRAY, element_type=DataType.INT64, max_capacity=5, nullable=True),
                   FieldSchema("dv", DataType.INT32, default_value=42), FieldSchema("ds", DataType.VARCHAR, max_length=20, default_value="def"),
                   FieldSchema("sp", DataType.SPARSE_FLOAT_VECTOR), FieldSchema("g", DataType.GEOMETRY),
                   FieldSchema("tz", DataType.TIMESTAMPTZ)]
        for i, row in enumerate(rows):
            row.update({"n": None if i % 3 else i, "ns": None if i % 2 else "", "nj": None if i % 4 else {"x": i}, "nf": None if i % 5 else 0.1,
                        "na": None if i % 2 else [i, 2**60], "dv": i, "ds": "given", "sp": {5: 0.5, i + 10: 1.25, 2**32 - 2: 3e-5},
                        "g": f"POINT ({i} 2.5)", "tz": f"{1 + i * 19:04d}-06-15T12:30:45.{i:06d}Z"})
            if i % 7 == 0:
                del row["dv"], row["ds"]
    for i, row in enumerate(rows):
        row["extra"] = {"any": [i, "x"], "big": 2**60 + i}
    c = create(name, fields, **dynamic)
    for start in range(0, n, 100):
        if is_standalone:  # pymilvus of these generations takes rows only without JSON trouble
            c.insert(rows[start:start + 100])
        else:
            c.insert(rows[start:start + 100])
    c.flush()
    index_and_load(c, load=False)
    if is_lite2:
        c.create_index("bv", {"index_type": "BIN_FLAT", "metric_type": "HAMMING", "params": {}})
        c.create_index("h", {"index_type": "FLAT", "metric_type": "L2", "params": {}})
        c.create_index("bh", {"index_type": "FLAT", "metric_type": "L2", "params": {}})
    if is_lite2 or is_lite3:
        c.create_index("sp", {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP", "params": {}})
    c.load()


def halves(name):
    """Every half float and bfloat16 that the server takes."""
    fields = [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("h", DataType.FLOAT16_VECTOR, dim=64),
              FieldSchema("b", DataType.BFLOAT16_VECTOR, dim=64)]
    c = create(name, fields)
    every = np.arange(65536, dtype=np.uint16)
    takes = {}
    for field, infinity in (("h", 0x7c00), ("b", 0x7f80)):
        finite = every[(every & infinity) != infinity]
        takes[field] = finite
        try:  # NaN and infinities, where they go in
            probe = np.full(64, infinity, dtype=np.uint16)
            other = np.zeros(64, dtype=np.uint16)
            c.insert([{"id": -1, "h": (probe if field == "h" else other).view(np.float16), "b": (probe if field == "b" else other).tobytes()}])
            time.sleep(0.05)  # Lite 2.5 forgets a delete in the millisecond of its insert
            c.delete("id in [-1]")
            takes[field] = every
        except Exception:
            pass
    rows = max(len(t) for t in takes.values()) // 64
    h, b = (np.resize(takes[f], rows * 64).reshape(rows, 64) for f in ("h", "b"))
    for start in range(0, rows, 128):
        c.insert([{"id": i, "h": h[i].view(np.float16), "b": b[i].tobytes()} for i in range(start, min(rows, start + 128))])
    c.flush()
    index_and_load(c, field="h", load=False)
    c.create_index("b", {"index_type": "FLAT", "metric_type": "L2", "params": {}})
    c.load()


def extremes(name):
    """Random bits as floats, NaN where the server takes it; texts with NUL, emoji, as long as can be; deep JSON with large numbers."""
    n = 400
    c = create(name, [
        FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("f", DataType.FLOAT), FieldSchema("d", DataType.DOUBLE),
        FieldSchema("s", DataType.VARCHAR, max_length=65535), FieldSchema("j", DataType.JSON), vector_field(16)])
    floats = random.integers(0, 2**32, n, dtype=np.uint32).view(np.float32)
    doubles = random.integers(0, 2**64, n, dtype=np.uint64).view(np.float64)
    floats[:8] = [0.0, -0.0, 1e-45, -1e-45, 3.4028235e38, -3.4028235e38, 1.1754942e-38, 1.1754944e-38]
    doubles[:6] = [0.0, -0.0, 5e-324, -5e-324, 1.7976931348623157e308, 2.2250738585072009e-308]
    texts = ["", "\x00", "a\x00b\x00", "😀" * 50, "é", "e\u0301", "\u202e\ufeff", "\\\"'", "x" * 65535, "中" * 21845]
    deep = {"v": 2**63 - 1, "w": -2**63, "f": 0.1, "é": "\u0000", "list": [[[[]]]]}
    for _ in range(60):
        deep = {"d": deep}
    vectors = random.integers(0, 2**32, (n, 16), dtype=np.uint32).view(np.float32)
    vectors[~np.isfinite(vectors)] = -0.0

    def insert(floats, doubles):
        rows = [{"id": i, "f": floats[i], "d": float(doubles[i]), "s": texts[i % len(texts)], "j": deep if i % 9 == 0 else {"i": 2**53 + 1 + i},
                 "v": vectors[i].tolist()} for i in range(n)]
        for start in range(0, n, 50):
            c.insert(rows[start:start + 50])

    try:
        insert(floats, doubles)
    except Exception as error:
        print("without NaN:", str(error)[:200])
        c.delete(f"id in {list(range(n))}")
        insert(np.where(np.isfinite(floats), floats, np.float32(1.5)), np.where(np.isfinite(doubles), doubles, 1.5))
    c.flush()
    index_and_load(c)


def dumpable(name):
    """What `milvus-lite dump` and pymilvus's bulk writer can write, keys in no order."""
    n = 3000
    fields = [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("b", DataType.BOOL), FieldSchema("i8", DataType.INT8),
              FieldSchema("i64", DataType.INT64), FieldSchema("f", DataType.FLOAT), FieldSchema("d", DataType.DOUBLE),
              FieldSchema("s", DataType.VARCHAR, max_length=200), FieldSchema("j", DataType.JSON), vector_field(16)]
    floats = random.integers(0, 2**32, n, dtype=np.uint32).view(np.float32)
    floats[~np.isfinite(floats)] = 1e-45
    floats[:4] = [0.0, -0.0, 1e-45, 3.4028235e38]
    rows = [{"id": i * 7919 % n - 100, "b": i % 3 == 0, "i8": i % 256 - 128, "i64": i * 36893488147419103 % 2**64 - 2**63, "f": floats[i],
             "d": float(random.standard_normal()), "s": "ünïcode 😀 \"q\" \\ \n " * (i % 3), "j": {"a": i, "deep": {"b": [1, 2.5, None, "é", 2**60]}},
             "v": unit(1, 16)[0].tolist()} for i in range(n)]
    if is_lite2:
        fields += [FieldSchema("bv", DataType.BINARY_VECTOR, dim=32)]  # its own dump fails on sparse vectors
        for i, row in enumerate(rows):
            row["bv"] = random.bytes(4)
    if is_lite3:
        fields += [FieldSchema("n", DataType.INT64, nullable=True), FieldSchema("a", DataType.ARRAY, element_type=DataType.INT32, max_capacity=10),
                   FieldSchema("sp", DataType.SPARSE_FLOAT_VECTOR)]
        for i, row in enumerate(rows):
            row.update({"n": None if i % 3 else i, "a": list(range(i % 11)), "sp": {5: 0.5, i + 10: 1.25, 2**32 - 2: 3e-5}})
    c = create(name, fields)
    for start in range(0, n, 500):
        c.insert(rows[start:start + 500])
    c.flush()
    index_and_load(c, load=False)
    if is_lite2:
        c.create_index("bv", {"index_type": "BIN_FLAT", "metric_type": "HAMMING", "params": {}})
    if is_lite3:
        c.create_index("sp", {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP", "params": {}})
    c.load()


def bulk_write(name, folder, kind):
    """The rows of a collection by pymilvus's bulk writer."""
    from pymilvus.bulk_writer import BulkFileType, LocalBulkWriter
    c = Collection(name)
    with LocalBulkWriter(schema=c.schema, local_path=folder, chunk_size=400_000, file_type=BulkFileType[kind]) as writer:
        for row in c.query("id > -10000", output_fields=["*"], limit=10000, consistency_level="Strong"):
            writer.append_row({k: list(v) if type(v).__name__ == "RepeatedScalarContainer" else
                               [float(x) for x in v] if k == "v" else np.unpackbits(np.frombuffer(v[0], np.uint8)).tolist() if k == "bv" else
                               float(v) if isinstance(v, np.floating) else v for k, v in row.items()})
        writer.commit()


def properties(name):
    """Description, aliases, shards, partition key, time to live, scalar index."""
    fields = [FieldSchema("id", DataType.INT64, is_primary=True, description="the key"),
              FieldSchema("tenant", DataType.VARCHAR, max_length=40, is_partition_key=not is_lite2), vector_field()]
    more = {} if is_lite2 or is_lite3 else {"num_shards": 3, "num_partitions": 4, "properties": {"collection.ttl.seconds": "360000"}}
    c = create(name, fields, description="what it is for: \"quotes\" and ünïcode", dynamic=True, **more)
    c.insert([list(range(2000)), [f"tenant {i % 17}" for i in range(2000)], list(unit(2000, 8))])
    c.flush()
    index_and_load(c, load=False)
    if not is_lite2:
        c.create_index("tenant", {"index_type": "INVERTED"} if is_lite3 else {}, index_name="tenant" if is_lite3 else "by_tenant")
    c.load()
    if not is_lite2:
        utility.create_alias(name, f"{name}_alias")


def partitions(name):
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), vector_field(4)])
    c.create_partition("p1")
    c.create_partition("p2")
    c.create_partition("empty")
    c.insert([list(range(0, 500)), list(unit(500, 4))])
    c.insert([list(range(500, 1500)), list(unit(1000, 4))], partition_name="p1")
    low = 1500 if is_lite3 else 1400  # standalone servers keep a key in two partitions, Lite 3 does not
    c.insert([list(range(low, 3000)), list(unit(3000 - low, 4))], partition_name="p2")
    c.flush()
    index_and_load(c)


def duplicates(name):
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), vector_field(4)])
    c.insert([list(range(1000)), list(unit(1000, 4))])
    c.insert([list(range(300, 400)), list(unit(100, 4))])
    c.insert([[350], list(unit(1, 4))])
    index_and_load(c)


def autoid(name):
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True), FieldSchema("n", DataType.INT64), vector_field(4)])
    c.insert([list(range(700)), list(unit(700, 4))])
    c.flush()
    index_and_load(c)


def unloaded(name):
    uniform_small(name)
    Collection(name).release()


def uniform_small(name):
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), vector_field(4)])
    c.insert([list(range(1000)), list(unit(1000, 4))])
    c.flush()
    index_and_load(c)


def unindexed(name):
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), vector_field(4)])
    c.insert([list(range(10)), list(unit(10, 4))])
    c.flush()


def empty(name):
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), vector_field(4)])
    index_and_load(c)


def greatest(name):
    """The key 2^63-1, which standalone servers hold and no query returns."""
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), vector_field(4)])
    c.insert([[1, 2, 2**63 - 1], list(unit(3, 4))])
    c.flush()
    index_and_load(c)


def measured(name, kind, metric):
    """Vectors of one kind, searched by one metric through an index that compares all; some stand twice, so that rows tie."""
    kinds = {"float": DataType.FLOAT_VECTOR, "binary": DataType.BINARY_VECTOR}
    if kind in ("float16", "bfloat16", "sparse"):
        kinds |= {"float16": DataType.FLOAT16_VECTOR, "bfloat16": DataType.BFLOAT16_VECTOR, "sparse": DataType.SPARSE_FLOAT_VECTOR}
    rows, dim = 2000, 64
    field = FieldSchema("v", kinds[kind], **({} if kind == "sparse" else {"dim": dim}))
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), field])
    floats = random.standard_normal((rows, dim)).astype(np.float32)
    floats[1500:1600] = floats[0:100]
    if kind == "float":
        vectors = list(floats)
    elif kind == "float16":
        vectors = [v.astype(np.float16) for v in floats]
    elif kind == "bfloat16":
        vectors = [(v.view(np.uint32) >> 16).astype(np.uint16).tobytes() for v in floats]
    elif kind == "sparse":
        vectors = [{int(i): float(abs(v[i])) for i in random.choice(dim, 8, replace=False)} for v in floats]
    else:
        few = metric in ("SUBSTRUCTURE", "SUPERSTRUCTURE")  # with few bits some contain others
        bits = (random.random((rows, dim)) < (0.04 if few else 0.5)).astype(np.uint8)
        bits[1500:1600] = bits[0:100]
        vectors = [np.packbits(b).tobytes() for b in bits]
    for start in range(0, rows, 500):
        if is_standalone:
            c.insert([list(range(start, start + 500)), vectors[start:start + 500]])
        else:
            c.insert([{"id": i, "v": vectors[i]} for i in range(start, start + 500)])
    c.flush()
    index = {"binary": "BIN_FLAT", "sparse": "SPARSE_INVERTED_INDEX"}.get(kind, "FLAT")
    index_and_load(c, index_type=index, metric_type=metric, params={})


def bm25(name):
    from pymilvus import Function, FunctionType
    fields = [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("text", DataType.VARCHAR, max_length=200, enable_analyzer=True),
              FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR), vector_field(4)]
    function = Function(name="bm25", function_type=FunctionType.BM25, input_field_names=["text"], output_field_names=["sparse"])
    c = create(name, fields, schema={"functions": [function]})
    c.insert([{"id": i, "text": f"the quick fox {i} jumps", "v": unit(1, 4)[0].tolist()} for i in range(200)])
    c.flush()
    index_and_load(c, load=False)
    c.create_index("sparse", {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "BM25", "params": {}})
    c.load()


def wide(name):
    """Narrow rows, and among them some hundred times as wide."""
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("t", DataType.VARCHAR, max_length=65535), vector_field(4)])
    for start in range(0, 12000, 1000):
        texts = ["x" * (60000 if 6000 <= i < 8000 else 10) for i in range(start, start + 1000)]
        for part in range(0, 1000, 200):
            c.insert([list(range(start + part, start + part + 200)), texts[part:part + 200], list(unit(200, 4))])
    c.flush()
    index_and_load(c)


def segments(name):
    """Rows that could be wide by their schema, so that milvault cuts them into several segments."""
    texts = [FieldSchema(f"t{i}", DataType.VARCHAR, max_length=1000) for i in range(40)]
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), *texts, vector_field(4)])
    for start in range(0, 12000, 2000):
        keys = list(range(start, start + 2000))
        c.insert([[k * 7919 for k in keys], *[[f"{k}/{i}" for k in keys] for i in range(40)], list(unit(2000, 4))])
    c.flush()
    index_and_load(c)


def overlapping_key(n):
    """Its order says nothing of n's."""
    import hashlib
    return hashlib.md5(str(n).encode()).hexdigest()[:12] + f"-{n}"


def overlapping_rows(numbers, version):
    return [
        {"k": overlapping_key(n), "version": version, "t": f"{n} v{version}", "v": [n / 7, version, -n, 0.5], "extra": {"n": n}}
        for n in numbers
    ]


def overlapping(name):
    """Segments of two shards whose keys lie between each other's."""
    c = create(
        name, [
            FieldSchema("k", DataType.VARCHAR, is_primary=True, max_length=40), FieldSchema("version", DataType.INT64),
            FieldSchema("t", DataType.VARCHAR, max_length=100), vector_field(4)
        ], dynamic=True, num_shards=2)
    for start in range(0, 3000, 1000):
        c.insert(overlapping_rows(range(start, start + 1000), 1))
        c.flush()
    index_and_load(c)


def filterable(name):
    """Rows that tell filters apart; FilterableRows of the unit tests has the same."""
    fields = [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("i8", DataType.INT8), FieldSchema("i16", DataType.INT16),
              FieldSchema("i32", DataType.INT32), FieldSchema("i64", DataType.INT64), FieldSchema("f", DataType.FLOAT),
              FieldSchema("d", DataType.DOUBLE), FieldSchema("b", DataType.BOOL), FieldSchema("s", DataType.VARCHAR, max_length=100),
              FieldSchema("meta", DataType.JSON), vector_field(2)]
    if generation != "2.2.16":
        fields += [FieldSchema("ai", DataType.ARRAY, element_type=DataType.INT64, max_capacity=10),
                   FieldSchema("as_", DataType.ARRAY, element_type=DataType.VARCHAR, max_length=50, max_capacity=10)]
    if is_lite3:
        fields += [FieldSchema("n", DataType.INT64, nullable=True), FieldSchema("ns", DataType.VARCHAR, max_length=50, nullable=True)]
    c = create(name, fields, dynamic=True)
    metas = [{"a": 1}, {"a": 1.0, "b": "x"}, {"a": "1"}, {"a": None}, {}, {"a": True}, {"a": [1, 2, 3], "b": "abc"}, {"a": {"b": {"c": 7}}},
             {"a": -5, "l": ["x", "y"]}, {"a": 2**53 + 1}, {"a": 5, "b": "x%y"}, {"a": 1e3, "l": []}]
    texts = ["a", "ab", "abc", "b", "", "A", "a%c", "a_c", "\u00e9", 'x"y', "it's", "a\\b"]
    rows = []
    for i in range(12):
        row = dict(id=i, i8=i * 20 - 110, i16=i * 1000 - 5000, i32=i * 10**8, i64=(i - 6) * 10**15 + i, f=i / 10, d=i / 10, b=i % 3 == 0,
                   s=texts[i], meta=metas[i], v=[i, 1.0])
        if generation != "2.2.16":
            row.update(ai=list(range(i % 5)), as_=[texts[i], texts[(i + 1) % 12]] if i % 4 else [])
        if is_lite3:
            row.update(n=None if i % 3 == 0 else i, ns=None if i % 4 == 0 else texts[i])
        if i % 2:
            row["dyn"] = i
        if i % 3 == 0:
            row["dyns"] = texts[i]
        rows.append(row)
    c.insert(rows)
    c.flush()
    index_and_load(c, index_type="FLAT", metric_type="L2", params={})


def choices(name, file):
    """The rows that the server chooses by each filter of a file; null where it refuses it."""
    c = Collection(name)
    answers = []
    for filter in json.load(open(file)):
        try:
            answers.append(sorted(row["id"] for row in c.query(filter, output_fields=["id"], limit=100, consistency_level="Strong", timeout=10)))
        except Exception:
            answers.append(None)
    print(json.dumps(answers))


def crossing(name):
    """All that a generation holds and others may not."""
    n = 300
    fields = [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("b", DataType.BOOL), FieldSchema("i8", DataType.INT8),
              FieldSchema("f", DataType.FLOAT), FieldSchema("s", DataType.VARCHAR, max_length=200), FieldSchema("j", DataType.JSON), vector_field(8)]
    rows = [{"id": i, "b": i % 3 == 0, "i8": i % 256 - 128, "f": i / 7, "s": f"row {i} \u00e9 \"q\"", "j": {"a": i, "l": [1, 2.5, "x", None]},
             "v": unit(1, 8)[0].tolist(), "extra": [i, "x"]} for i in range(n)]
    if generation != "2.2.16":
        fields += [FieldSchema("a", DataType.ARRAY, element_type=DataType.INT32, max_capacity=10),
                   FieldSchema("as", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=5, max_length=50),
                   FieldSchema("af", DataType.ARRAY, element_type=DataType.FLOAT, max_capacity=5)]
        for i, row in enumerate(rows):
            row.update({"a": list(range(i % 11)), "as": ["", "\u00e9", "\"x\""][:i % 4], "af": [0.1, -0.0, 1e-40][:i % 4]})
    functions = {}
    if is_lite2:
        fields += [FieldSchema("bv", DataType.BINARY_VECTOR, dim=32), FieldSchema("h", DataType.FLOAT16_VECTOR, dim=8),
                   FieldSchema("bh", DataType.BFLOAT16_VECTOR, dim=8), FieldSchema("sp", DataType.SPARSE_FLOAT_VECTOR)]
        halves = random.integers(0, 2**16, (n, 8), dtype=np.uint16)
        halves[(halves & 0x7c00) == 0x7c00] = 0x3c00
        wide = random.integers(0, 2**16, (n, 8), dtype=np.uint16)
        wide[(wide & 0x7f80) == 0x7f80] = 0x3f80
        for i, row in enumerate(rows):
            row.update({"bv": random.bytes(4), "h": halves[i].view(np.float16), "bh": wide[i].tobytes(), "sp": {5: 0.5, i + 10: 1.25}})
    if is_lite3:
        from pymilvus import Function, FunctionType
        fields += [FieldSchema("n", DataType.INT64, nullable=True), FieldSchema("ns", DataType.VARCHAR, max_length=50, nullable=True),
                   FieldSchema("full", DataType.INT32, nullable=True),
                   FieldSchema("na", DataType.ARRAY, element_type=DataType.INT64, max_capacity=5, nullable=True),
                   FieldSchema("dv", DataType.INT32, default_value=42), FieldSchema("sp", DataType.SPARSE_FLOAT_VECTOR),
                   FieldSchema("g", DataType.GEOMETRY), FieldSchema("tz", DataType.TIMESTAMPTZ),
                   FieldSchema("t", DataType.VARCHAR, max_length=100, enable_analyzer=True),
                   FieldSchema("tsp", DataType.SPARSE_FLOAT_VECTOR, is_function_output=True)]
        for i, row in enumerate(rows):
            row.update({"n": None if i % 3 else i, "ns": None if i % 2 else "", "full": i, "na": None if i % 2 else [i, 2**60], "dv": i,
                        "sp": {5: 0.5, i + 10: 1.25}, "g": f"POINT ({i} 2.5)", "tz": f"{1970 + i % 60:04d}-06-15T12:30:45.{i:06d}Z", "t": f"text {i}"})
        functions = {"schema": {"functions": [Function(name="words", function_type=FunctionType.BM25, input_field_names=["t"], output_field_names=["tsp"])]}}
    c = create(name, fields, dynamic=True, **functions)
    if not is_lite2:
        c.create_partition("p1")
    c.insert(rows[:n // 2])
    c.insert(rows[n // 2:], **({} if is_lite2 else {"partition_name": "p1"}))
    c.flush()
    index_and_load(c, load=False)
    if is_lite2:
        c.create_index("bv", {"index_type": "BIN_FLAT", "metric_type": "HAMMING", "params": {}})
        for half in ("h", "bh"):
            c.create_index(half, {"index_type": "FLAT", "metric_type": "L2", "params": {}})
    if is_lite2 or is_lite3:
        c.create_index("sp", {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP", "params": {}})
    if is_lite3:
        c.create_index("tsp", {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "BM25", "params": {}})
    c.load()


def kind_of(field):
    kind = DataType(field.dtype).name
    return kind + ":" + DataType(field.element_type).name if kind == "ARRAY" else kind


def neutral(kind, value):
    """A value of a field of this kind, wherever it was read from, in one form."""
    def single(x):
        return np.float32(x).tobytes().hex()
    if value is None:
        return None
    if kind == "FLOAT":
        return single(value)
    if kind.startswith("ARRAY"):
        return [single(x) if kind == "ARRAY:FLOAT" else x for x in (json.loads(value) if isinstance(value, (str, bytes)) else value)]
    if kind == "JSON":
        return json.loads(value) if isinstance(value, (str, bytes)) else value
    if kind in ("FLOAT_VECTOR", "FLOAT16_VECTOR", "BFLOAT16_VECTOR"):
        if isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], (bytes, bytearray)):
            value = value[0]
        if isinstance(value, np.ndarray) and value.dtype == np.float16:
            value = value.tobytes()
        if isinstance(value, (bytes, bytearray)) or type(value).__name__ == "ndarray" and value.dtype.name == "bfloat16":
            raw = value if isinstance(value, (bytes, bytearray)) else value.tobytes()
            if kind == "FLOAT16_VECTOR":
                value = np.frombuffer(raw, dtype=np.float16)
            else:
                value = (np.frombuffer(raw, dtype=np.uint16).astype(np.uint32) << 16).view(np.float32)
        return [single(x) for x in value]
    if kind == "SPARSE_FLOAT_VECTOR":
        return sorted([int(i), single(x)] for i, x in value.items())
    if kind == "BINARY_VECTOR":
        return bytes(value[0] if isinstance(value, (list, tuple)) else value).hex()
    if kind == "TIMESTAMPTZ" and isinstance(value, str):
        from datetime import datetime, timedelta, timezone
        return (datetime.fromisoformat(value.replace("Z", "+00:00")) - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)
    return value


def taken(name, kinds=None):
    """All rows of a few hundred by key, and the kinds of their fields; those that are not there are left out."""
    c = Collection(name)
    here = {f.name: kind_of(f) for f in c.schema.fields if not getattr(f, "is_function_output", False) and f.name != "tsp"}
    names = [n for n in (kinds or here) if n in here]
    rows = {}
    for row in c.query("id >= 0", output_fields=names + ["extra"], limit=1000, consistency_level="Strong"):
        rows[str(row["id"])] = {n: neutral((kinds or here)[n], row[n]) for n in names} | {"extra": list(row["extra"])}
    places = {}
    if not is_lite2:
        for p in c.partitions:
            for row in c.query("id >= 0", output_fields=["id"], partition_names=[p.name], limit=1000, consistency_level="Strong"):
                places[str(row["id"])] = p.name
    return {"kinds": here, "rows": rows, "places": places}


def snapshot(name, file):
    json.dump(taken(name), open(file, "w"))


def crossed(name, file, fills):
    """Holds a collection against a snapshot from another generation."""
    fills, before = json.loads(fills), json.load(open(file))
    after = json.loads(json.dumps(taken(name, before["kinds"])))
    differences = [f"{k}: only before" for k in before["rows"] if k not in after["rows"]] + [f"{k}: only after" for k in after["rows"] if k not in before["rows"]]
    left_out = sorted(n for n in before["kinds"] if n not in after["kinds"])
    for k, row in before["rows"].items():
        for n, value in row.items():
            if n in left_out or k not in after["rows"]:
                continue
            wanted = fills[n] if value is None and n in fills else value
            if after["rows"][k][n] != wanted:
                differences.append(f"{k}.{n}: {wanted} became {after['rows'][k][n]}")
    if before["places"] and after["places"] and before["places"] != after["places"]:
        differences.append("rows are in other partitions")
    changed = {n: [k, after["kinds"][n]] for n, k in before["kinds"].items() if n in after["kinds"] and after["kinds"][n] != k}
    print(json.dumps({"rows": len(after["rows"]), "differences": differences[:10], "leftOut": left_out, "changed": changed}))


def changing_rows(keys, version):
    return [keys, *[[f"{k}/{i} v{version}" for k in keys] for i in range(40)], list(unit(len(keys), 32))]


def changing(name):
    """Several segments, whose rows `change` changes."""
    texts = [FieldSchema(f"t{i}", DataType.VARCHAR, max_length=1000) for i in range(40)]
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), *texts, vector_field(32)])
    # With these keys milvault ends a segment after 1811 and after 4190 rows.
    for start in range(0, 4500, 1500):
        c.insert(changing_rows([k * 8019 for k in range(start, start + 1500)], 0))
    c.flush()
    index_and_load(c)


def changing_small(name):
    texts = [FieldSchema(f"t{i}", DataType.VARCHAR, max_length=1000) for i in range(40)]
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), *texts, vector_field(32)])
    c.insert(changing_rows(list(range(600)), 0))
    index_and_load(c)


def since_keys_of(c, keys):
    # Numbers as of `changing`: after some of them milvault ends a segment.
    return [f'k{k:07d} é"' for k in keys] if c.primary_field.dtype == DataType.VARCHAR else [k * 8019 for k in keys]


def since_rows(c, keys, at, version):
    """Rows that say when they were written: `at`, a number of any scale, or what it is for a key."""
    times = [at(k) if callable(at) else at for k in keys]
    kind = next(f.dtype for f in c.schema.fields if f.name == "at")
    write = {DataType.INT64: lambda t: t, DataType.INT32: lambda t: t - 2**31, DataType.DOUBLE: lambda t: 1.7e18 + t * 1e9, DataType.VARCHAR: lambda t: f"{t:09d} é\"",
             getattr(DataType, "TIMESTAMPTZ", None): lambda t: f"2026-01-01T{t // 3600 % 24:02d}:{t // 60 % 60:02d}:{t % 60:02d}.25Z"}[kind]
    texts = sum(f.name.startswith("t") for f in c.schema.fields)
    return [since_keys_of(c, keys), [None if t is None else write(t) for t in times], *[[f"{k}/{i} v{version}" if i < 4 else "" for k in keys] for i in range(texts)], list(unit(len(keys), 512))]


def since(name, kind="INT64", rows=6000, texts=40, key="INT64", partitions=1, **more):
    """Several pages of rows with a field that tells newer ones, and several segments: their size goes by what texts may be."""
    texts = [FieldSchema(f"t{i}", DataType.VARCHAR, max_length=1000) for i in range(texts)]
    at = FieldSchema("at", getattr(DataType, kind), **({"max_length": 40} if kind == "VARCHAR" else {}), **more)
    key = FieldSchema("id", getattr(DataType, key), is_primary=True, **({"max_length": 100} if key == "VARCHAR" else {}))
    c = create(name, [key, at, *texts, vector_field(512)])
    for p in range(1, partitions):
        c.create_partition(f"p{p}")
    since_insert(c, list(range(rows)), lambda k: 1000 + k % 50, 0)
    c.flush()
    index_and_load(c, **({} if is_lite2 else {"index_type": "FLAT", "metric_type": "L2", "params": {}}))


def since_insert(c, keys, at, version):
    """A row's key says which partition it lives in."""
    partitions = ["_default"] if is_lite2 else sorted(p.name for p in c.partitions)
    for p, partition in enumerate(partitions):
        mine = [k for k in keys if k % len(partitions) == p]
        for part in [mine[i:i + 3000] for i in range(0, len(mine), 3000)]:
            c.insert(since_rows(c, part, at, version), **({} if len(partitions) == 1 else {"partition_name": partition}))


def since_double(name):
    since(name, "DOUBLE")


def since_small(name):
    since(name, "INT32")


def since_text(name):
    since(name, "VARCHAR")


def since_time(name):
    since(name, "TIMESTAMPTZ")


def since_nullable(name):
    since(name, nullable=True)


def since_string_keys(name):
    since(name, key="VARCHAR", partitions=1 if is_lite2 else 2)


def since_large(name):
    """As many rows as make several pages where pages are large."""
    since(name, rows=24000)


def since_large_double(name):
    since(name, "DOUBLE", rows=24000)


def since_delete(c, keys):
    c.delete(f"id in {json.dumps(since_keys_of(c, keys), ensure_ascii=False)}", consistency_level="Strong")


def since_write(name, keys, at, version):
    """Writes rows over what is there, and says when."""
    c = Collection(name)
    for part in [keys[i:i + 1000] for i in range(0, len(keys), 1000)]:
        since_delete(c, part)
        since_insert(c, part, at, version)


def since_churn(name, seconds, behind):
    """An application, with keys of its own, that maintains the field: the time of each write in nanoseconds, by a clock that may be behind; the write comes somewhat later."""
    end, version = time.time() + float(seconds), 0
    while time.time() < end:
        version += 1
        # Two that write one key at a time would leave it twice.
        keys = sorted(2 * int(k) + (float(behind) > 0) for k in random.choice(3500, 20, replace=False))
        now = time.time_ns() - int(float(behind) * 1e9)
        time.sleep(float(random.uniform(0, 0.8)))
        since_write(name, keys, now, version)
        if version % 5 == 0:
            since_delete(Collection(name), keys[:3])


def bulk_schema(name):
    return create(name, [
        FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("b", DataType.BOOL), FieldSchema("i8", DataType.INT8),
        FieldSchema("i16", DataType.INT16), FieldSchema("i32", DataType.INT32), FieldSchema("i64", DataType.INT64), FieldSchema("f", DataType.FLOAT),
        FieldSchema("d", DataType.DOUBLE), FieldSchema("s", DataType.VARCHAR, max_length=200), FieldSchema("j", DataType.JSON), vector_field(16)])


def bulk(name):
    """What Milvus 2.3's own import takes."""
    c, n = bulk_schema(name), 2000
    floats = random.integers(0, 2**32, n, dtype=np.uint32).view(np.float32)
    floats[~np.isfinite(floats)] = 1e-45
    c.insert([list(range(n)), [i % 3 == 0 for i in range(n)], [i % 256 - 128 for i in range(n)], [i * 131 % 65536 - 32768 for i in range(n)],
              [i * 16777259 % 2**32 - 2**31 for i in range(n)], [i * 36893488147419103 % 2**64 - 2**63 for i in range(n)], list(floats),
              [float(x) for x in random.standard_normal(n)], ["ünïcode 😀 \"q\" " * (i % 5) for i in range(n)],
              [{"a": i, "deep": {"b": [1, None, "é"]}} for i in range(n)], list(unit(n, 16))])
    c.flush()
    index_and_load(c)


def bulk_insert(name, target, data, folder):
    """Gives a folder's files below the server's own data folder to its import."""
    c = bulk_schema(target)
    files = [os.path.join(folder, file) for file in sorted(os.listdir(folder)) if not file.endswith(".json")]
    task = utility.do_bulk_insert(target, files)
    for _ in range(120):
        state = utility.get_bulk_insert_state(task)
        if state.state_name in ("Completed", "Failed") or "fail" in state.state_name.lower():
            break
        time.sleep(0.5)
    print("Import" + state.state_name, state.infos)
    index_and_load(c)


# ---- Comparing ----

def exact(value):
    """A value as text in which two values are equal only if their bits are."""
    if isinstance(value, np.ndarray):
        return value.dtype.str + value.tobytes().hex()
    if isinstance(value, (float, np.floating)):
        return struct.pack("<d", float(value)).hex()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, dict):
        return "{" + ",".join(f"{k!r}:{exact(v)}" for k, v in sorted(value.items(), key=lambda e: repr(e[0]))) + "}"
    if isinstance(value, (list, tuple)) or type(value).__name__ == "RepeatedScalarContainer":
        return "[" + ",".join(exact(v) for v in value) + "]"
    return repr(value)


def read(name):
    """All rows by key, by pages of keys; a key in two partitions is read from each."""
    c = Collection(name)
    c.load()
    key = c.primary_field
    made = {f for function in getattr(c.schema, "functions", []) or [] for f in function.output_field_names}
    names = [f.name for f in c.schema.fields if f.name not in made and not getattr(f, "is_function_output", False)]
    if c.schema.enable_dynamic_field:
        names.append("$meta")
    spread = any(getattr(f, "is_partition_key", False) for f in c.schema.fields)
    try:
        found = [p.name for p in c.partitions]
    except Exception:
        found = ["_default"]
    rows = {}
    if name.startswith("wide"):  # ranges bounded on both sides: 2.2 works on all rows of a range, whatever the limit
        for start in range(0, 12000, 400):
            for row in c.query(f"id >= {start} and id < {start + 400}", output_fields=names, limit=1000, consistency_level="Strong"):
                rows[(None, row["id"])] = exact({k: row[k] for k in names})
        return rows
    for partition in [None] if spread or is_lite2 else found:
        last = None
        while True:
            if key.dtype == DataType.VARCHAR:
                expr = f"{key.name} >= \"\"" if last is None else f"{key.name} > {literal(last)}"
            else:
                expr = f"{key.name} >= -9223372036854775807 or {key.name} < -9223372036854775807" if last is None else (
                    f"{key.name} > {last}" if last > -2**63 else f"{key.name} >= {last + 1}")
            more = {} if partition is None else {"partition_names": [partition]}
            try:
                page = c.query(expr, output_fields=names, limit=4000, iterator="True", reduce_stop_for_best="False", consistency_level="Strong", **more)
            except pymilvus.exceptions.MilvusException as error:
                if "Unsupported data type: 0" not in str(error):
                    raise
                page = []  # pymilvus cannot read an array field of an answer without rows
            if not page:
                break
            for row in page:
                rows[(partition, row[key.name])] = exact({k: row[k] for k in names if k in row})
            keys = [row[key.name] for row in page]
            last = max(keys, key=lambda k: k.encode() if isinstance(k, str) else k)
            if is_lite2 and isinstance(last, str) and "\r" in last.replace("\r\n", ""):
                writable = [k for k in keys if "\r" not in k]
                if not writable or len(page) < 4000:
                    break
                last = max(writable, key=str.encode)
    return rows


def literal(text):
    if is_lite2:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\r\n", "\\\r\n").replace("\n", "\\\n").replace("\\\r\\\n", "\\\r\n") + '"'
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'


def describe(name):
    c = Collection(name)
    fields = [{k: v for k, v in f.to_dict().items() if k not in ("field_id",)} for f in c.schema.fields]
    indexes = sorted(exact({"field": i.field_name, "params": {k: v for k, v in i.params.items()}}) for i in c.indexes)
    described = {"fields": sorted(map(exact, fields)), "dynamic": c.schema.enable_dynamic_field, "description": c.schema.description,
                 "indexes": indexes, "functions": [exact(f.to_dict()) for f in getattr(c.schema, "functions", None) or []]}
    if is_standalone:
        described["shards"] = c.num_shards
        described["partitions"] = sorted(p.name for p in c.partitions)
        from pymilvus.grpc_gen import milvus_pb2
        calls = connections._fetch_handler("default")._stub
        raw = calls.DescribeCollection(milvus_pb2.DescribeCollectionRequest(collection_name=name))
        described["consistency"] = raw.consistency_level
        described["properties"] = sorted((p.key, p.value) for p in raw.properties)
    return described


def compare(a, b):
    first, second = read(a), read(b)
    differences = [f"{k}: only in {a}" for k in first if k not in second] + [f"{k}: only in {b}" for k in second if k not in first]
    differences += [f"{k}: {first[k][:300]} != {second[k][:300]}" for k in first if k in second and first[k] != second[k]]
    described, restored = describe(a), describe(b)
    differences += [f"{k}: {described[k]} != {restored[k]}" for k in described if described[k] != restored[k]]
    print(json.dumps({"rows": len(first), "differences": differences[:20], "count": len(differences)}))


def write(name, seconds):
    """Inserts keys from 10^9 on and deletes every third of them again, all the time."""
    c = Collection(name)
    end, i = time.time() + float(seconds), 0
    while time.time() < end:
        keys = list(range(10**9 + i, 10**9 + i + 10))
        c.insert([keys, [f"written {k}" for k in keys], list(unit(10, 8))])
        c.delete(f"id in {keys[::3]}")
        i += 10
    print(json.dumps({"writes": i}))


def logged(name):
    """What `log` writes to."""
    c = create(name, [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("t", DataType.VARCHAR, max_length=100), vector_field()])
    index_and_load(c)


def log(name, seconds, file, disturbed):
    """Writes all the time, keys that were deleted before among them, and keeps each write with the server's own time of it; of a delete, whose
    time the server does not tell, with times before and after. Ends when there is a file `FILE.done`, or after a time."""
    from pymilvus.grpc_gen import milvus_pb2
    calls = connections._fetch_handler("default")._stub
    now = lambda: calls.AllocTimestamp(milvus_pb2.AllocTimestampRequest()).timestamp
    c = Collection(name)
    end, version, alive, dead, fresh = time.time() + float(seconds), 0, [], [], 10**6
    with open(file, "w") as out:
        while time.time() < end and not os.path.exists(f"{file}.done"):
            version += 1
            kind = random.choice(["insert", "insert", "delete", "upsert"])
            if kind == "insert" or len(alive) < 100:
                kind = "insert"
                again = [dead.pop(int(random.integers(len(dead)))) for _ in range(min(5, len(dead)))]
                keys = list(range(fresh, fresh + 20)) + again
                fresh += 20
                alive += keys
                done = c.insert([keys, [f"{k} v{version}" for k in keys], list(unit(len(keys), 8))])
            elif kind == "upsert" and generation != "2.2.16":
                keys = sorted({int(k) for k in random.choice(alive, 10)})
                done = c.upsert([keys, [f"{k} v{version}" for k in keys], list(unit(len(keys), 8))])
            else:
                kind, keys = "delete", sorted({int(k) for k in random.choice(alive, 10)})
                alive = [k for k in alive if k not in set(keys)]
                dead += keys
                before = now()
                c.delete(f"id in {keys}")
            times = [before, now()] if kind == "delete" else [done.timestamp] * 2
            out.write(json.dumps({"kind": kind, "keys": keys, "version": version, "from": times[0], "to": times[1]}) + "\n")
            out.flush()
            if disturbed == "yes" and version % 50 == 0:
                c.flush()
                c.compact()
    print(json.dumps({"writes": version}))


def change(name, seed, share):
    """Changes a share of the rows, deletes and inserts a quarter as many; scattered, and at the end."""
    global random
    random = np.random.default_rng(int(seed))
    c, share = Collection(name), float(share)
    keys, last = [], -1
    while page := c.query(f"id > {last}", output_fields=["id"], limit=10000, iterator="True", reduce_stop_for_best="False", consistency_level="Strong"):
        keys += sorted(row["id"] for row in page)
        last = keys[-1]
    count = int(len(keys) * share)
    picked = [int(k) for k in random.choice(keys, count + count // 4, replace=False)]
    gone, changed = picked[count:], picked[:count]
    new = [int(k) * 8019 + 1 for k in random.choice(10000, count // 8, replace=False)] + [keys[-1] + 8019 * (i + 1) for i in range(count // 8)]
    new = sorted(set(new) - set(keys))
    for part in [changed[i:i + 1000] for i in range(0, len(changed), 1000)]:
        c.delete(f"id in {part}", consistency_level="Strong")
        c.insert(changing_rows(part, seed))
    if gone:
        c.delete(f"id in {gone}")
    if new:
        c.insert(changing_rows(new, seed))
    print(json.dumps({"changed": len(changed), "deleted": len(gone), "inserted": len(new)}))


def churn(name, seconds, pause=0.1):
    """Changes a few rows at a time, all the time."""
    c = Collection(name)
    keys = [row["id"] for row in c.query("id >= 0", output_fields=["id"], limit=10000, consistency_level="Strong")]
    end, version = time.time() + float(seconds), 0
    while time.time() < end:
        version += 1
        picked = sorted(int(k) for k in random.choice(keys, 4, replace=False))
        if generation != "2.2.16":
            c.upsert(changing_rows(picked, version))
        else:
            c.delete(f"id in {picked}")
            c.insert(changing_rows(picked, version))
        time.sleep(float(pause))


def content(name):
    """A digest of all rows with their partitions."""
    import hashlib
    rows = read(name)
    print(json.dumps({"rows": len(rows), "sha256": hashlib.sha256("\n".join(f"{k}{v}" for k, v in sorted(rows.items(), key=repr)).encode()).hexdigest()}))


def keep(name, file):
    """Keeps all rows in a file, to be held against later."""
    import pickle
    pickle.dump(read(name), open(file, "wb"))


def against(name, file):
    """What differs from the rows that were kept, in words; looked at twice, some seconds apart."""
    import pickle
    before = pickle.load(open(file, "rb"))
    for wait in (0, 10):
        time.sleep(wait)
        now = read(name)
        gone, new = [k for k in before if k not in now], [k for k in now if k not in before]
        other = [k for k in now if k in before and now[k] != before[k]]
        print(f"after {wait} s: {len(gone)} gone {gone[:5]}, {len(new)} new {new[:5]}, {len(other)} others {other[:5]}, count {Collection(name).query('', output_fields=['count(*)'], consistency_level='Strong') if not is_lite2 else '?'}")


def beside(live, copy):
    """Holds a collection that a copy was merged into against the copy; and a digest of its rows with other keys."""
    import hashlib
    there, wanted = read(live), read(copy)
    held = {}
    for (partition, key) in wanted:
        held.setdefault(key, set()).add(partition)
    missing = [k for k in wanted if k not in there]
    different = [k for k in wanted if k in there and there[k] != wanted[k]]
    elsewhere = [k for k in there if k[1] in held and k[0] not in held[k[1]]]
    others = sorted((f"{k}{v}" for k, v in there.items() if k[1] not in held))
    print(json.dumps({"missing": len(missing), "different": len(different), "elsewhere": len(elsewhere), "others": len(others),
                      "sha256": hashlib.sha256("\n".join(others).encode()).hexdigest(), "example": str((missing + different + elsewhere)[:1])}))


def append(name, seconds):
    """Inserts growing keys, faster than anyone reads to the end."""
    c = Collection(name)
    end, i = time.time() + float(seconds), 10**9
    while time.time() < end:
        c.insert([list(range(i, i + 20)), [f"appended {k}" for k in range(i, i + 20)], list(unit(20, 8))])
        i += 20
    print(json.dumps({"appended": i - 10**9}))


def dump(name, schema, file):
    """What pymilvus sees, for foreign_readers.py: the rows by key in the form of normal.py; `schema` is an export's schema.json."""
    from normal import normal
    description = json.load(open(schema))
    fields = [f for f in description["schema"]["fields"] if f["name"] in description["fields"] and f["type"] != "timestamptz"]
    c = Collection(name)
    rows = {}
    known = {f["name"] for f in description["schema"]["fields"]}
    for row in c.query("id > -10000", output_fields=["*"] + [f["name"] for f in fields], limit=10000, consistency_level="Strong"):
        values = {f["name"]: normal(f, row[f["name"]]) for f in fields}
        if description["schema"]["hasDynamicField"]:
            values["$meta"] = row["$meta"] if "$meta" in row else {k: v for k, v in row.items() if k not in known}
        rows[str(row["id"])] = values
    json.dump(rows, open(file, "w"))


if verb == "fill":
    globals()[rest[0]](*rest[1:])
elif verb == "compare":
    compare(*rest)
elif verb == "drop":
    utility.drop_collection(rest[0])
elif verb == "write":
    write(*rest)
elif verb == "log":
    log(*rest)
elif verb == "dump":
    dump(*rest)
elif verb == "bulk_write":
    bulk_write(*rest)
elif verb == "change":
    change(*rest)
elif verb == "churn":
    churn(*rest)
elif verb == "since_churn":
    since_churn(*rest)
elif verb == "content":
    content(*rest)
elif verb == "beside":
    beside(*rest)
elif verb == "keep":
    keep(*rest)
elif verb == "against":
    against(*rest)
elif verb == "snapshot":
    snapshot(*rest)
elif verb == "crossed":
    crossed(*rest)
elif verb == "choices":
    choices(*rest)
elif verb == "append":
    append(*rest)
elif verb == "run":
    exec(rest[0])
