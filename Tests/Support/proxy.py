"""A Milvus with faults: stands in front of a real server, passes calls on, and misbehaves as told.

    proxy.py TARGET_PORT FAULT [ARGUMENT]     prints its own port

    none                  passes everything on
    hide KEY              answers queries for rows without the row of this key, but counts it
    overlook KEY          answers queries and counts between keys as if the row were not there, but not those without bounds
    misread N             takes the bound N in "at >= bound" for N more than it is
    lose-insert-answers N of every N inserts one is passed on and its answer lost
    twice-inserts N       with the Nth insert an application inserts the same keys with other vectors, just before it
    refuse METHOD,N       the Nth call of a method is refused
    stuck METHOD,N        the Nth call of a method is never answered, and not passed on
    slow-inserts SECONDS  passes every insert on so much later
    flaky PERCENT         so many of the calls fail with UNAVAILABLE before they reach the server; inserts do not
    rate-limit            every second call is turned away by a rate limiter
    delete-behind N       N rows are deleted from every collection of a drill as soon as it is to be loaded
    spoil-inserts N       the first component of the first vector in the Nth insert is another
    tls CERT,KEY          speaks TLS
"""
import os
import random
import re
import sys
import time
from concurrent import futures

import grpc
from pymilvus.grpc_gen import common_pb2, milvus_pb2

target, fault, argument = sys.argv[1], sys.argv[2], (sys.argv[3:] or [""])[0]
limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
channel = grpc.insecure_channel(f"127.0.0.1:{target}", options=limits)
random.seed(1)
calls = {"insert": 0, "all": 0}


def rate_limited(method):
    status = common_pb2.Status(error_code=49, code=8, reason="request is rejected by grpc RateLimiter middleware")
    answers = {"Query": milvus_pb2.QueryResults, "Insert": milvus_pb2.MutationResult, "ShowCollections": milvus_pb2.ShowCollectionsResponse,
               "DescribeCollection": milvus_pb2.DescribeCollectionResponse}
    return answers[method](status=status).SerializeToString() if method in answers else None


def answer(path, request, context):
    method = path.rsplit("/", 1)[1]
    calls["all"] += 1
    if fault == "flaky" and method != "Insert" and random.random() * 100 < float(argument):
        context.abort(grpc.StatusCode.UNAVAILABLE, "the proxy is flaky")
    if fault == "rate-limit" and calls["all"] % 2:
        limited = rate_limited(method)
        if limited is not None:
            return limited
    if fault in ("refuse", "stuck") and method == argument.split(",")[0]:
        calls["named"] = calls.get("named", 0) + 1
        if calls["named"] == int(argument.split(",")[1]):
            if fault == "stuck":
                time.sleep(3600)
            return common_pb2.Status(error_code=1, code=65535, reason="the proxy refuses").SerializeToString()
    if fault == "slow-inserts" and method == "Insert":
        time.sleep(float(argument))
    if fault == "hide" and method == "Query":
        query = milvus_pb2.QueryRequest.FromString(request)
        if "count(*)" not in query.output_fields:
            query.expr = f"({query.expr}) and id != {argument}"
            request = query.SerializeToString()
    if fault in ("overlook", "misread") and method == "Query":
        query = milvus_pb2.QueryRequest.FromString(request)
        if fault == "misread":
            query.expr = re.sub(r"\bat >= (\d+)", lambda m: f"at >= {int(m[1]) + int(argument)}", query.expr)
        elif query.expr != "id >= 0 or id < 0":
            query.expr = f"({query.expr}) and id != {argument}"
        request = query.SerializeToString()
    if fault == "spoil-inserts" and method == "Insert":
        calls["insert"] += 1
        if calls["insert"] == int(argument):
            theirs = milvus_pb2.InsertRequest.FromString(request)
            for field in theirs.fields_data:
                if field.WhichOneof("field") == "vectors":
                    field.vectors.float_vector.data[0] += 1
            request = theirs.SerializeToString()
    metadata = [(k, v) for k, v in context.invocation_metadata() if not k.startswith((":", "grpc-", "user-agent", "te", "content-type"))]
    if fault == "delete-behind" and method == "LoadCollection":
        name = milvus_pb2.LoadCollectionRequest.FromString(request).collection_name
        if name.startswith("milvault_drill_"):
            keys = ", ".join(str(key) for key in range(int(argument)))
            theirs = milvus_pb2.DeleteRequest(collection_name=name, expr=f"id in [{keys}]")
            channel.unary_unary("/milvus.proto.milvus.MilvusService/Delete")(theirs.SerializeToString(), metadata=[], timeout=120)
    try:
        reply = channel.unary_unary(path)(request, metadata=metadata, timeout=120)
    except grpc.RpcError as error:
        context.abort(error.code(), error.details())
    if fault == "twice-inserts" and method == "Insert":
        calls["insert"] += 1
        if calls["insert"] == int(argument):
            theirs = milvus_pb2.InsertRequest.FromString(request)
            for field in theirs.fields_data:
                if field.WhichOneof("field") == "vectors":
                    vector = field.vectors.float_vector.data
                    vector[:] = [-x for x in vector]
            channel.unary_unary(path)(theirs.SerializeToString(), metadata=metadata, timeout=120)
    if fault == "lose-insert-answers" and method == "Insert":
        calls["insert"] += 1
        if calls["insert"] % int(argument) == 0:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
    return reply


class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: answer(details.method, request, context))


server = grpc.server(futures.ThreadPoolExecutor(8), options=limits)
server.add_generic_rpc_handlers((Handler(),))
if fault == "tls":
    certificate, key = (open(name, "rb").read() for name in argument.split(","))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
parent = os.getppid()
while os.getppid() == parent:  # it ends with the test that started it
    time.sleep(0.5)
