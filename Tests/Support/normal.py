"""Values in a form in which two are equal only if their bits are, whichever program read them."""
import json
import math
import struct

import numpy as np


def floats(values, kind="<f4"):
    return np.asarray(values, dtype=kind).tobytes().hex()


def normal(field, value):
    """A value of a field, which is as schema.json and manifests describe it."""
    kind = field["type"]
    if value is None or isinstance(value, float) and math.isnan(value) and kind not in ("float", "double"):
        return None
    if kind == "array":
        return [normal({"type": field["elementType"]}, item) for item in value]
    if kind == "bool":
        return bool(value)
    if kind in ("int8", "int16", "int32", "int64", "timestamptz"):
        return int(value)
    if kind == "float":
        return floats([value])
    if kind == "double":
        return floats([value], "<f8")
    if kind == "json":
        return json.loads(value) if isinstance(value, (str, bytes)) else value
    if kind == "float_vector":
        return floats(value)
    if kind == "sparse_float_vector":
        if "indices" in value:
            value = dict(zip(value["indices"], value["values"]))
        return [[int(i), struct.pack("<f", v).hex()] for i, v in sorted((int(i), v) for i, v in value.items())]
    if kind.endswith("_vector"):
        if isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], (bytes, bytearray)):
            value = value[0]  # pymilvus wraps binary vectors
        if isinstance(value, (bytes, bytearray)):
            return bytes(value).hex()
        if isinstance(value, np.ndarray) and value.dtype != object:
            return value.tobytes().hex()
        return bytes(int(item) & 255 for item in value).hex()
    return str(value)
