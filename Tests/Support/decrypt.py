"""Reads an encrypted repository by its documentation alone (docs/repository-format.md), with another library than Milvault's.

    decrypt.py FOLDER PASSPHRASE_FILE OUTPUT     writes all files plain below OUTPUT; data files under their plain names
"""
import base64
import hashlib
import hmac
import json
import os
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

folder, passphrase_file, output = sys.argv[1:]
passphrase = open(passphrase_file).readline().rstrip("\n")


def hkdf(key, salt, info):
    return HKDF(SHA256(), 32, salt, info).derive(key)


repository = json.load(open(f"{folder}/repository.json"))
assert repository["encryption"] == "AES-256-GCM"
data_key = None
for name in os.listdir(f"{folder}/keys"):
    key = json.load(open(f"{folder}/keys/{name}"))
    wrapping = hashlib.scrypt(passphrase.encode(), salt=base64.b64decode(key["salt"]), n=key["rounds"], r=key["blockSize"], p=key["parallelism"],
                              maxmem=1 << 30, dklen=32)
    wrapped = base64.b64decode(key["wrapped"])
    data_key = AESGCM(wrapping).decrypt(wrapped[:12], wrapped[12:], f"milvault key {key['id']} of {repository['id']}".encode())
files, names = hkdf(data_key, None, b"milvault files 1"), hkdf(data_key, None, b"milvault names 1")


def decrypt(data, key):
    assert data[:4] == b"MVE1"
    cipher = AESGCM(hkdf(files, data[4:36], b"milvault file 1"))
    frames = [data[at:at + 65552] for at in range(36, len(data), 65552)]
    plain = b""
    for number, frame in enumerate(frames):
        last = number == len(frames) - 1
        plain += cipher.decrypt(bytes([last, 0, 0, 0]) + number.to_bytes(8, "big"), frame, key.encode() if last else b"")
    return plain


count = 0
for path, _, found in os.walk(folder):
    for name in found:
        key = os.path.relpath(f"{path}/{name}", folder)
        if key == "repository.json" or key.startswith("keys/") or "/." in "/" + key:
            continue
        plain = decrypt(open(f"{folder}/{key}", "rb").read(), key)
        if key.startswith("data/"):
            digest = hashlib.sha256(plain).hexdigest()
            stored = hmac.new(names, digest.encode(), "sha256").hexdigest()
            assert name[:64] == stored and key.split("/")[1] == stored[:2], key
            key = f"data/{digest[:2]}/{digest}{name[64:]}"
        os.makedirs(os.path.dirname(f"{output}/{key}"), exist_ok=True)
        open(f"{output}/{key}", "wb").write(plain)
        count += 1
print(count)
