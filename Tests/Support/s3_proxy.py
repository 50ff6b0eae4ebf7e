"""An S3 server with faults: stands in front of a real one, passes requests on unchanged, and misbehaves as told.

    s3_proxy.py TARGET_PORT LOG FAULT [ARGUMENT]     prints its own port; writes a line a request: METHOD PATH STATUS[/FAULT] BODY_BYTES

    none
    errors PERCENT    so many requests are answered 500 or 503 and not passed on
    too-many PERCENT  the same with 429
    resets PERCENT    so many bodies, in either direction, break off in the middle with a reset
    slow SECONDS      every tenth body takes so long
    short PERCENT     so many answers carry half of their body, and a Content-Length of that half
    corrupt PERCENT   one byte of so many bodies that are fetched is another
    corrupt-always P  the same with every body of a path that contains P
    lost PERCENT      so many uploads succeed, and their answers are lost
    chaos PERCENT     all of those, mixed
    expired N         after N requests, the credentials have expired
    full BYTES        after so many bytes, the bucket is full
    no-deletes        whoever deletes is refused
    read-only         whoever writes is refused
    no-copies         whoever copies within the server is refused
    trailers          none; a checksum that follows a body is told in the header that moto looks for (Amazon takes either)
    tls FOLDER        none; over https, with cert.pem and key.pem of that folder
    stuck             after the first, no request is answered
"""
import http.client
import random
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler

target, log_path, fault, argument = int(sys.argv[1]), sys.argv[2], sys.argv[3], (sys.argv[4:] or [""])[0]
random.seed(7)
guard = threading.Lock()
state = {"requests": 0, "bytes": 0, "bodies": 0}
log = open(log_path, "a", buffering=1)
local = threading.local()

UNAVAILABLE = ["errors", "resets", "short", "corrupt", "lost", "too-many"]


def chance(percent):
    with guard:
        return random.random() * 100 < percent


def chosen():
    """The fault of this request, or none."""
    if fault == "chaos":
        return random.choice(UNAVAILABLE) if chance(float(argument)) else "none"
    if fault in UNAVAILABLE:
        return fault if chance(float(argument)) else "none"
    return fault


def upstream():
    if getattr(local, "connection", None) is None:
        local.connection = http.client.HTTPConnection("127.0.0.1", target, timeout=600)
    return local.connection


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    what = "none"

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def refuse(self, status, code):
        body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>by the proxy</Message></Error>'.encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.note(status, 0)

    def note(self, status, count):
        log.write(f"{self.command} {self.path} {status}{'/' + self.what if self.what in UNAVAILABLE else ''} {count}\n")

    def reset(self):
        self.note("reset", 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def body(self):
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def handle_expect_100(self):
        return True

    def serve(self):
        with guard:
            state["requests"] += 1
            number = state["requests"]
        writes = self.command in ("PUT", "POST", "DELETE")
        what = self.what = chosen()
        length = int(self.headers.get("Content-Length", 0))
        if what == "resets" and self.command == "PUT" and length > 1:
            self.rfile.read(length // 2)
            return self.reset()
        request = self.body()
        if what == "stuck" and number > 1:
            time.sleep(3600)
        if what == "errors":
            return self.refuse(*random.choice([(500, "InternalError"), (503, "SlowDown")]))
        if what == "too-many":
            return self.refuse(429, "TooManyRequests")
        if what == "expired" and number > int(argument):
            return self.refuse(400, "ExpiredToken")
        if what == "full" and self.command == "PUT":
            with guard:
                state["bytes"] += len(request)
                is_full = state["bytes"] > int(argument)
            if is_full:
                return self.refuse(507, "InsufficientStorage")
        if what == "no-deletes" and self.command == "DELETE" or what == "read-only" and writes or (
                what == "no-copies" and self.headers.get("x-amz-copy-source")):
            return self.refuse(403, "AccessDenied")
        for again in (True, False):
            try:
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "transfer-encoding", "expect", "content-length")}
                if what == "trailers" and self.headers.get("X-Amz-Trailer", "").startswith("x-amz-checksum-"):
                    headers["x-amz-sdk-checksum-algorithm"] = "CRC64NVME"
                if request or writes:
                    headers["Content-Length"] = str(len(request))
                upstream().request(self.command, self.path, body=request or None, headers=headers)
                answer = upstream().getresponse()
                content = answer.read()
                break
            except (http.client.HTTPException, OSError):
                local.connection = None
                if not again:
                    return self.reset()
        if what == "lost" and writes and answer.status < 300:
            return self.reset()
        is_object = self.command == "GET" and "list-type" not in self.path and answer.status in (200, 206)
        whole = len(content)
        if is_object and (what == "corrupt" or what == "corrupt-always" and argument in self.path) and content:
            at = random.randrange(len(content))
            content = content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1:]
        if is_object and what == "short":
            content = content[: whole // 2]
            whole = len(content)
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length", "0") if self.command == "HEAD" else str(whole))
        self.end_headers()
        if self.command != "HEAD":
            if is_object and what == "resets" and whole > 1:
                self.wfile.write(content[: whole // 2])
                self.wfile.flush()
                return self.reset()
            if is_object and what == "slow":
                with guard:
                    state["bodies"] += 1
                    is_slow = state["bodies"] % 10 == 0
                if is_slow:
                    for at in range(10):
                        self.wfile.write(content[whole * at // 10: whole * (at + 1) // 10])
                        time.sleep(float(argument) / 10)
                    return self.note(answer.status, whole)
            self.wfile.write(content)
        self.note(answer.status, len(request) if writes else len(content))

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError, OSError):
            self.close_connection = True

    def finish(self):
        try:
            super().finish()
        except (ConnectionError, ValueError, OSError):
            pass

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = serve


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Handler)
if fault == "tls":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{argument}/cert.pem", f"{argument}/key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(f"{server.server_address[1]:>5}", flush=True)
server.serve_forever()
