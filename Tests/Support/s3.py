"""A real S3 server for tests, with a bucket in it.

    s3.py moto|nanio FOLDER     prints its port, and ends when its input is closed
    s3.py minio FOLDER          nanio where a Milvus with storageType=minio looks for its bucket: port 9000, its keys and bucket
    s3.py keys PORT PREFIX      the keys in the bucket and their sizes, as JSON
    s3.py search PORT PREFIX TEXT…  the keys of objects that hold one of the texts, as JSON
    s3.py bucket PORT NAME      makes another bucket (NAME:MODE with object lock that holds new objects for a day)
"""
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time

import boto3
import botocore.config

ACCESS_KEY, SECRET_KEY, BUCKET, PORT = "MILVAULTTESTKEY", "milvault-test-secret", "vault", 0
if sys.argv[1] == "minio":
    ACCESS_KEY, SECRET_KEY, BUCKET, PORT = "minioadmin", "minioadmin", "a-bucket", 9000


def client(port):
    config = botocore.config.Config(request_checksum_calculation="when_required", retries={"max_attempts": 10})
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
                        region_name="us-east-1", config=config)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def serve(kind, folder):
    port = PORT or free_port()
    scripts = os.path.dirname(sys.executable)
    if kind == "moto":
        command = [f"{scripts}/moto_server", "-H", "127.0.0.1", "-p", str(port)]
    else:
        command = [f"{scripts}/nanio", "serve", "--data-dir", folder, "--host", "127.0.0.1", "--port", str(port)]
    os.makedirs(folder, exist_ok=True)
    environment = dict(os.environ, NANIO_ACCESS_KEY=ACCESS_KEY, NANIO_SECRET_KEY=SECRET_KEY)
    with open(f"{folder}/../{kind}.log", "wb") as log:
        server = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
    for _ in range(600):
        try:
            client(port).create_bucket(Bucket=BUCKET)
            break
        except Exception:
            if server.poll() is not None:
                sys.exit(f"{kind} ended")
            time.sleep(0.1)
    print(f"{port:>5}", flush=True)
    sys.stdin.read()
    server.kill()


if sys.argv[1] in ("moto", "nanio", "minio"):
    die_with_parent()
    serve(sys.argv[1], sys.argv[2])
elif sys.argv[1] == "keys":
    found = {}
    for page in client(sys.argv[2]).get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=sys.argv[3]):
        for item in page.get("Contents", []):
            found[item["Key"]] = item["Size"]
    print(json.dumps(found))
elif sys.argv[1] == "bucket":
    name, _, locked = sys.argv[3].partition(":")
    client(sys.argv[2]).create_bucket(Bucket=name, ObjectLockEnabledForBucket=bool(locked))
    if locked:
        retention = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": locked, "Days": 1}}}
        client(sys.argv[2]).put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=retention)
elif sys.argv[1] == "search":
    s3, found = client(sys.argv[2]), []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=sys.argv[3]):
        for item in page["Contents"]:
            body = s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
            found += [f"{item['Key']}: {text}" for text in sys.argv[4:] if text.encode() in body]
    print(json.dumps(found))
