"""Writes the rows of an exported Parquet file again, as other people's programs write them.

    foreign_writers.py ROWS.parquet FOLDER      prints the name of each file or folder written
"""
import json
import math
import os
import sys

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

source, folder = sys.argv[1:3]
table = pq.read_table(source)
os.makedirs(folder, exist_ok=True)


def done(name):
    print(name)


def wide(type_):
    """Another Arrow type for the same values: larger offsets, wider numbers, lists of a fixed size."""
    if pa.types.is_string(type_):
        return pa.large_string()
    if pa.types.is_list(type_):
        return pa.large_list(wide(type_.value_type))
    if pa.types.is_float32(type_):
        return pa.float64()
    if type_ in (pa.int8(), pa.int16(), pa.int32()):
        return pa.int64()
    return type_


def cast(column, type_):
    return pa.chunked_array([pa.array(column.to_pylist(), type_)])


def rewritten(change):
    return pa.table({name: change(name, table[name]) for name in table.column_names})


# pandas, in its two ways of telling nulls.
table.to_pandas(types_mapper=pd.ArrowDtype).to_parquet(f"{folder}/pandas.parquet", row_group_size=97)
done("pandas.parquet")
pl.read_parquet(source).write_parquet(f"{folder}/polars.parquet")
done("polars.parquet")
duckdb.execute(f"copy (from '{source}' order by hash(id)) to '{folder}/duckdb.parquet' (format parquet)")
done("duckdb.parquet")

pq.write_table(rewritten(lambda n, c: c if pa.types.is_struct(c.type) else cast(c, wide(c.type))), f"{folder}/wide.parquet")
done("wide.parquet")


def compact(name, column):
    """Dictionaries, views, lists of a fixed size, sparse vectors as maps, times as times."""
    if name == "s":
        return column.dictionary_encode()
    if name == "ds":
        return column.cast(pa.string_view())
    if name == "v":
        return cast(column, pa.list_(pa.float32(), len(column[0])))
    if name == "sp":
        return cast(pa.chunked_array([pa.array([list(zip(r["indices"], r["values"])) for r in column.to_pylist()],
                                               pa.map_(pa.uint32(), pa.float32()))]), pa.map_(pa.uint32(), pa.float32()))
    if name == "tz":
        return column.cast(pa.timestamp("us", tz="UTC"))
    return column


pq.write_table(rewritten(compact), f"{folder}/compact.parquet")
done("compact.parquet")


def cell(value, type_):
    """As pymilvus's bulk writer writes a cell: JSON for lists, the plain text of all else."""
    if value is None:
        return None
    if pa.types.is_struct(type_):
        return json.dumps({str(i): v for i, v in zip(value["indices"], value["values"])})
    if isinstance(value, list):
        return json.dumps(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    return value


def line(cells):
    # An empty text in quotes is no null.
    return ",".join("" if c is None else '"' + str(c).replace('"', '""') + '"' for c in cells) + "\r\n"


with open(f"{folder}/cells.csv", "w", newline="", encoding="utf-8") as out:
    out.write(line(table.column_names))
    for row in table.to_pylist():
        out.write(line([cell(row[f.name], f.type) for f in table.schema]))
done("cells.csv")

# In parts, of which none has the rows in order.
os.makedirs(f"{folder}/parts")
for i in range(3):
    rows = [j for j in range(table.num_rows) if j % 3 == i][::-1]
    pq.write_table(table.take(rows), f"{folder}/parts/{10 - i}.parquet")
done("parts")
