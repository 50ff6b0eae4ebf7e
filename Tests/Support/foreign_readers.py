"""Other people's programs read a backup: pyarrow, pandas, DuckDB, polars and NumPy see what pymilvus saw.

    foreign_readers.py SEEN.json COLLECTION REPOSITORY PARQUET NUMPY JSON      folders of `milvault export`, one a format

SEEN.json is what `milvus.py dump` wrote: the rows by key, in the form of normal.py.
"""
import glob
import json
import struct
import sys

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq

from normal import normal

seen_file, name, repository, parquet, numpy_folder, jsonl = sys.argv[1:]
seen = json.load(open(seen_file))
description = json.load(open(f"{parquet}/default/{name}/schema.json"))
schema = description["schema"]
fields = [f for f in schema["fields"] if f["name"] in description["fields"]]
if schema["hasDynamicField"]:
    fields.append({"name": "$meta", "type": "json"})
key = next(f["name"] for f in fields if f.get("isPrimaryKey"))


def check(reader, rows):
    found = {str(row[key]): {f["name"]: normal(f, row[f["name"]]) for f in fields} for row in rows}
    assert found.keys() == seen.keys(), f"{reader}: other keys"
    for k, row in found.items():
        for field, value in row.items():
            if field in seen[k]:  # a timestamptz is text to pymilvus
                assert value == seen[k][field], f"{reader}: {field} of {k} is {value!r}, pymilvus saw {seen[k][field]!r}"
    print(f"{reader}: {len(found)} rows, {len(fields)} fields")


def parquet_readers(what, files):
    check(f"{what}, pyarrow", [row for file in files for row in pq.read_table(file).to_pylist()])
    frames = pd.concat([pd.read_parquet(file, dtype_backend="pyarrow") for file in files])
    check(f"{what}, pandas", [{c: None if v is pd.NA else v for c, v in row.items()} for row in frames.to_dict("records")])
    table = duckdb.read_parquet(files)
    check(f"{what}, DuckDB", [dict(zip(table.columns, row)) for row in table.fetchall()])
    check(f"{what}, polars", [row for file in files for row in pl.read_parquet(file).to_dicts()])


parquet_readers("export", sorted(glob.glob(f"{parquet}/default/{name}/**/*.parquet", recursive=True)))
manifest = json.load(open(sorted(glob.glob(f"{repository}/backups/*.json"))[-1]))
path = lambda file: f"{repository}/data/{file['name'][:2]}/{file['name']}"
segments = [segment for c in manifest["collections"] if c["name"] == name for p in c["partitions"] if p.get("segmentList")
            for segment in json.load(open(path(p["segmentList"])))["segments"]]
assert not any(segment.get("deltas") for segment in segments), "a first backup has none"
parquet_readers("repository", [path(segment["base"]["rows"]) for segment in segments])


def load(folder, file):
    return np.load(f"{folder}/{file}.npy", allow_pickle=False)


def texts(data, offsets):
    raw = data.tobytes()
    return [raw[offsets[i]:offsets[i + 1]].decode() for i in range(len(offsets) - 1)]


def column(folder, field):
    at, kind = field["name"], field["type"]
    if kind == "array":
        offsets = load(folder, f"{at}.offsets")
        if field["elementType"] == "varchar":
            elements = texts(load(folder, f"{at}.bytes"), load(folder, f"{at}.element_offsets"))
        else:
            elements = load(folder, f"{at}.values").tolist() if field["elementType"] != "float" else load(folder, f"{at}.values")
        values = [elements[offsets[i]:offsets[i + 1]] for i in range(len(offsets) - 1)]
    elif kind == "sparse_float_vector":
        offsets, indices, weights = (load(folder, f"{at}.{part}") for part in ("offsets", "indices", "values"))
        values = [{"indices": indices[a:b], "values": weights[a:b]} for a, b in zip(offsets[:-1], offsets[1:])]
    elif kind in ("varchar", "text", "json", "geometry"):
        values = texts(load(folder, f"{at}.bytes"), load(folder, f"{at}.offsets"))
    else:
        values = list(load(folder, at))
    if field.get("nullable"):
        values = [value if valid else None for value, valid in zip(values, load(folder, f"{at}.valid"))]
    return values


rows = []
for partition in description["partitions"]:
    folder = f"{numpy_folder}/default/{name}/{partition['folder']}"
    columns = {field["name"]: column(folder, field) for field in fields}
    rows += [dict(zip(columns, values)) for values in zip(*columns.values())]
check("export, NumPy", rows)


SPECIAL = {"Infinity": float("inf"), "-Infinity": float("-inf")}


def number(value, width):
    if isinstance(value, str) and value.startswith("NaN"):
        bits = int(value[4:-1], 16) if "(" in value else {2: 0x7e00, 4: 0x7fc00000, 8: 0x7ff8000000000000}[width]
        return struct.unpack({2: "<e", 4: "<f", 8: "<d"}[width], bits.to_bytes(width, "little"))[0]
    return SPECIAL.get(value, value) if isinstance(value, str) else value


def from_json(field, value):
    kind = field["type"]
    if value is None:
        return None
    if kind == "array":
        return [from_json({"type": field["elementType"]}, item) for item in value]
    if kind in ("float", "double"):
        return number(value, 4 if kind == "float" else 8)
    if kind == "float_vector":
        return [number(item, 4) for item in value]
    if kind == "float16_vector":
        return b"".join(nan_bits(item, 2) or np.float16(number(item, 2)).tobytes() for item in value)
    if kind == "bfloat16_vector":
        return b"".join(nan_bits(item, 2, 0x7fc0) or np.float32(number(item, 4)).tobytes()[2:] for item in value)
    return value


def nan_bits(item, width, usual=0x7e00):
    if not isinstance(item, str) or not item.startswith("NaN"):
        return None
    return (int(item[4:-1], 16) if "(" in item else usual).to_bytes(width, "little")


rows = []
for file in glob.glob(f"{jsonl}/default/{name}/**/*.jsonl", recursive=True):
    for line in open(file, encoding="utf-8", newline="\n"):
        row = json.loads(line)
        rows.append({f["name"]: from_json(f, row[f["name"]]) for f in fields})
check("export, json", rows)
