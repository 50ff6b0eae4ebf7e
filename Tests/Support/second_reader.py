"""A second reader of a repository, written from docs/repository-format.md: no Milvault, only pyarrow and hashlib.

    second_reader.py REPOSITORY URI COLLECTION      URI: - to compare with no server

Reads the newest backup's rows, of Milvus's own files too (docs/milvus-files.md), computes every row digest and the content digest itself, and
compares values with what pymilvus reads.
"""
import glob
import hashlib
import io
import json
import struct
import sys
import warnings

warnings.filterwarnings("ignore")
import pyarrow.parquet as pq
from pymilvus import MilvusClient

repository, uri, name = sys.argv[1:]
manifest = json.load(open(sorted(glob.glob(f"{repository}/backups/*.json"))[-1]))
collection = next(c for c in manifest["collections"] if c["name"] == name)
schema = collection["schema"]
fields = [f for f in schema["fields"] if not f.get("isFunctionOutput")]
if schema["hasDynamicField"]:
    fields.append({"name": "$meta", "type": "json"})

path = lambda f: f"{repository}/data/{f['name'][:2]}/{f['name']}"
PACK = {"int8": "<b", "int16": "<h", "int32": "<i", "int64": "<q", "float": "<f", "double": "<d", "timestamptz": "<q", "bool": "<?"}


def text(value):
    return struct.pack("<I", len(value.encode())) + value.encode()


def scalar(kind, value):
    return struct.pack(PACK[kind], value) if kind in PACK else value.encode()


def canonical(field, value):
    kind = field["type"]
    header = text(field["name"]) + text(f"array<{field['elementType']}>" if kind == "array" else kind)
    if value is None:
        return b""
    if kind == "array":
        element = field["elementType"]
        body = struct.pack("<I", len(value))
        for item in value:
            one = scalar(element, item)
            body += one if element in PACK else struct.pack("<I", len(one)) + one
    elif kind == "float_vector":
        body = struct.pack(f"<{len(value)}f", *value)
    elif kind == "sparse_float_vector":
        body = b"".join(struct.pack("<If", i, v) for i, v in zip(value["indices"], value["values"]))
    elif kind.endswith("vector"):
        body = bytes(x & 255 for x in value)
    else:
        body = scalar(kind, value)
    return header + struct.pack("<Q", len(body)) + body


def payloads(file, kind):
    """The values of one of Milvus's log files."""
    data = open(path(file), "rb").read()
    assert struct.unpack_from("<I", data)[0] == 0xFFFABC
    at = struct.unpack_from("<i", data, 4 + 13)[0]
    while at < len(data):
        _, found, length, end = struct.unpack_from("<Qbii", data, at)
        assert found == kind and end == at + length
        yield from pq.read_table(io.BytesIO(data[at + 17 + 16:end]))["val"].to_pylist()
        at = end


def value(field, raw):
    """As the row files have it."""
    if field["type"] == "json":
        return raw.decode()
    if field["type"] == "float_vector":
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))
    if field["type"] == "binary_vector":
        return list(raw)
    if field["type"] == "array":
        from pymilvus.grpc_gen import schema_pb2
        message = schema_pb2.ScalarField.FromString(raw)
        kind = message.WhichOneof("data")
        return list(getattr(message, kind).data) if kind else []
    return raw


def binlog_rows(layer):
    """The rows of one of Milvus's segments that count, in key order."""
    logs = layer["binlogs"]
    cut = logs.get("cut", 2**64 - 1)
    deleted = {}
    for log in logs["deletes"]:
        for line in map(json.loads, payloads(log["file"], 2)):
            if line["ts"] <= cut:
                deleted[line["pk"]] = max(line["ts"], deleted.get(line["pk"], 0))
    columns = {f["id"]: [v for log in f["logs"] for v in payloads(log["file"], 1)] for f in logs["fields"]}
    assert len({len(c) for c in columns.values()} | {logs["rows"]}) == 1
    of = {f["name"]: columns[f["id"]] for f in logs["fields"] if f.get("name")}
    key = next(f["name"] for f in fields if f.get("isPrimaryKey"))
    kept = [i for i, time in enumerate(columns[1]) if time <= cut and deleted.get(of[key][i], 0) <= time]
    found = [{f["name"]: value(f, of[f["name"]][i]) for f in fields} for i in kept]
    return sorted(found, key=lambda row: row[key].encode() if isinstance(row[key], str) else row[key])


rows, count, total, layers, sums = {}, 0, 0, 0, []
is_pending = any((p.get("segmentList") or {"name": ""})["name"].endswith(".pending.json") for p in collection["partitions"])
for partition in collection["partitions"]:
    if not partition.get("segmentList"):
        continue
    completed = path(partition["segmentList"]).replace(".pending.json", ".completed.json")
    if completed.endswith(".completed.json"):
        completion = json.load(open(completed))
        assert completion["of"] == partition["segmentList"]["name"]
        partition["segmentList"] = completion["list"]
        sums.append((int(completion["content"]["sum"], 16), completion["content"]["rows"]))
        for log in (l for s in json.load(open(path(completion["list"])))["segments"] for y in [s["base"]] + s.get("deltas", [])
                    for f in y["binlogs"]["fields"] for l in f["logs"]):
            assert hashlib.sha256(open(path(log["file"]), "rb").read()).hexdigest() == log["file"].get("sha256", log["file"]["name"][:64])
    else:
        sums.append((int(partition["content"]["sum"], 16), partition["content"]["rows"]))
    for segment in json.load(open(path(partition["segmentList"])))["segments"]:
        key = next(f["name"] for f in fields if f.get("isPrimaryKey"))
        found = {}
        for layer in [segment["base"]] + segment.get("deltas", []):
            table = iter(binlog_rows(layer) if layer.get("binlogs") else pq.read_table(path(layer["rows"])).to_pylist() if layer.get("rows") else [])
            digests = pq.read_table(path(layer["digests"])).to_pylist()
            assert len(digests) == layer["content"]["rows"] + layer["deletes"]
            for beside in digests:
                if beside["digest"] is None:
                    found.pop(beside["key"], None)
                    continue
                row = next(table)
                digest = hashlib.sha256(b"".join(canonical(f, row[f["name"]]) for f in sorted(fields, key=lambda f: f["name"].encode()))).digest()
                assert digest == beside["digest"] and row[key] == beside["key"], f"the digest of {row[key]} differs"
                found[row[key]] = row, digest
            assert next(table, None) is None, "more rows than digests"
        assert len(found) == segment["content"]["rows"]
        layers += 1 + len(segment.get("deltas", []))
        total = (total + sum(int.from_bytes(digest, "big") for _, digest in found.values())) % 2**256
        count += len(found)
        rows.update((k, row) for k, (row, _) in found.items())
assert (total, count) == (sum(s for s, _ in sums) % 2**256, sum(n for _, n in sums)), "the content digest differs"
assert count == collection["content"]["rows"] and (is_pending or f"{total:064x}" == collection["content"]["sum"])

print(f"{count} rows in {layers} layers, every digest the same")
if uri == "-":
    sys.exit()
client = MilvusClient(uri=uri)
seen = client.query(name, filter="id >= -100000", output_fields=["*"], limit=10000)
assert len(seen) == len(rows)
for row in seen:
    mine = rows[row["id"]]
    for field in ("i64", "s", "b", "a", "as", "n", "ns", "g"):
        theirs = row[field]
        assert (list(theirs) if isinstance(mine[field], list) else theirs) == mine[field], f"{row['id']}.{field}: {theirs} != {mine[field]}"
    assert struct.pack("<f", row["f"]) == struct.pack("<f", mine["f"])
    assert struct.pack("<16f", *row["v"]) == struct.pack("<16f", *mine["v"])
    assert dict(row["sp"]) == dict(zip(mine["sp"]["indices"], mine["sp"]["values"]))
    assert row["j"] == json.loads(mine["j"]) and row["extra"] == json.loads(mine["$meta"])["extra"]
print(f"{len(rows)} rows in {layers} layers, every digest and value the same")
