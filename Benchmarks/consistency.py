"""consistency.py URI MILVAULT STORAGE ROWS [PLOT.svg]: hot backups beside a writer whose log says what was true when."""
import glob, json, multiprocessing, os, subprocess, sys, tempfile, time
import numpy as np
from pymilvus import Collection, CollectionSchema, DataType, FieldSchema, connections
from pymilvus.grpc_gen import milvus_pb2

uri, milvault, storage, rows, *plot = sys.argv[1:]
rows, name, batch = int(rows), "docs", 5000
folder = tempfile.mkdtemp()


def vectors(count):
    return np.random.standard_normal((count, 32)).astype(np.float32).tolist()


def write(log, paused, stop):
    """Replaces rows, deletes some and adds others; a line of the log for each, when it is done."""
    connections.connect(uri=uri)
    c, rng, version = Collection(name), np.random.default_rng(1), 0
    alive, fresh = list(range(rows)), rows
    with open(log, "a") as out:
        while not stop.is_set():
            if paused.is_set():
                time.sleep(0.01)
                continue
            version += 1
            kind = ("upsert", "insert", "delete")[version % 3]
            if kind == "insert":
                keys, fresh = list(range(fresh, fresh + 20)), fresh + 20
                alive += keys
            else:
                keys = []
                for _ in range(20):  # the last takes the place of one that is deleted
                    at = int(rng.integers(len(alive)))
                    keys.append(alive[at])
                    if kind == "delete":
                        alive[at] = alive[-1]
                        alive.pop()
                keys = sorted(set(keys))
            texts = [f"{k} v{version}" for k in keys]
            if kind == "delete":
                c.delete(f"id in {keys}")
            else:
                getattr(c, kind)([keys, texts, vectors(len(keys))])
            out.write(json.dumps([kind, keys, version]) + "\n")
            out.flush()
            time.sleep(0.005)


def pages(**how):
    """As the tutorials do it: pages by key until one is short. (Until one is empty would go on for as long as something is written.)"""
    c, found, last = Collection(name), {}, -1
    while True:
        page = c.query(f"id > {last}", output_fields=["t"], limit=4000, **how)
        found.update((row["id"], row["t"]) for row in page)
        if len(page) < 4000:
            return found
        last = max(row["id"] for row in page)


def snapshot():
    stub = connections._fetch_handler("default")._stub
    now = stub.AllocTimestamp(milvus_pb2.AllocTimestampRequest()).timestamp
    return pages(consistency_level="Customized", guarantee_timestamp=now)


def backup(*options):
    run = lambda *a: subprocess.run([milvault, *a, "--repo", f"{folder}/repo", "--config", f"{folder}/none.yaml", "--quiet"], check=True, capture_output=True)
    run("backup", "--uri", uri, "--collection", name, "--verify", "none", *options)
    target = f"{folder}/export-{time.time_ns()}"
    run("export", "latest", "--format", "json", "--output", target)
    files = glob.glob(f"{target}/**/*.jsonl", recursive=True)
    return {row["id"]: row["t"] for file in files for row in map(json.loads, open(file))}


def best(found, log):
    """The fewest wrong rows at any moment of the log, by kind."""
    state = {k: f"{k} v0" for k in range(rows)}
    wrong = {k for k in state.keys() | found.keys() if state.get(k) != found.get(k)}
    fewest, kept = len(wrong), None
    for kind, keys, version in log:
        for k in keys:
            if kind == "delete":
                state.pop(k, None)
            else:
                state[k] = f"{k} v{version}"
            (wrong.discard if state.get(k) == found.get(k) else wrong.add)(k)
        if len(wrong) < fewest or kept is None:
            fewest = len(wrong)
            kept = (sum(k not in found for k in wrong), sum(k not in state for k in wrong), sum(k in found and k in state for k in wrong))
    return fewest, kept


connections.connect(uri=uri)
open(f"{folder}/none.yaml", "w").close()
subprocess.run([milvault, "init", "--repo", f"{folder}/repo", "--config", f"{folder}/none.yaml", "--quiet"], check=True, capture_output=True)
c = Collection(name, CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("t", DataType.VARCHAR, max_length=100),
                                       FieldSchema("v", DataType.FLOAT_VECTOR, dim=32)]), consistency_level="Strong")
for start in range(0, rows, batch):
    keys = list(range(start, min(rows, start + batch)))
    c.insert([keys, [f"{k} v0" for k in keys], vectors(len(keys))])
c.flush()
c.create_index("v", {"index_type": "FLAT", "metric_type": "L2", "params": {}})
c.load()
log, paused, stop = f"{folder}/log.jsonl", multiprocessing.Event(), multiprocessing.Event()
writer = multiprocessing.Process(target=write, args=(log, paused, stop))
writer.start()
ways = [("cold: writes stopped, milvault by queries", lambda: backup("--capture", "query"), True),
        ("milvault by segments (exact)", lambda: backup("--capture", "segments", "--storage", storage), False),
        ("milvault by queries (fuzzy)", lambda: backup("--capture", "query"), False),
        ("pages, Strong", lambda: pages(consistency_level="Strong"), False),
        ("pages, one guarantee timestamp (\"snapshot\")", snapshot, False),
        ("pages, Eventually", lambda: pages(consistency_level="Eventually"), False)]
results = []
time.sleep(3)
for words, take, isCold in ways:
    if isCold:
        paused.set()
        time.sleep(1)
    begun, before = time.time(), sum(1 for _ in open(log))
    found = take()
    seconds, written = time.time() - begun, sum(1 for _ in open(log)) - before
    paused.clear()
    time.sleep(2)
    results.append((words, found, seconds, written))
stop.set()
writer.join()
writes = [json.loads(line) for line in open(log)]
print(f"{rows} rows at the start, one writer: upserts, inserts and deletes of 20 rows each; Milvus 2.3.5, {os.cpu_count()} cores")
print(f"{'':46} {'rows':>8} {'seconds':>8} {'writes meanwhile':>17} {'wrong rows':>11} {'missing':>8} {'too many':>9} {'old or new':>11}")
table = []
for words, found, seconds, written in results:
    fewest, (missing, extra, other) = best(found, writes)
    table.append((words, fewest))
    print(f"{words:46} {len(found):8} {seconds:8.1f} {written:17} {fewest:11} {missing:8} {extra:9} {other:11}")
if plot:
    most = max(1, max(n for _, n in table))
    bars = "".join(f'<text x="330" y="{40 + 34 * i}" text-anchor="end">{w.replace(chr(34), "&quot;")}</text><rect x="340" y="{26 + 34 * i}" width="{max(1, 380 * n / most):.0f}" height="20" fill="{"#b3402a" if n else "#3a7d44"}"/>'
                   f'<text x="{350 + 380 * n / most:.0f}" y="{40 + 34 * i}">{n}</text>' for i, (w, n) in enumerate(table))
    with open(plot[0], "w") as out:
        out.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {40 + 34 * len(table)}" font-family="sans-serif" font-size="14">'
                  f'<text x="10" y="16">Rows that are wrong at the moment that fits best</text>{bars}</svg>\n')
