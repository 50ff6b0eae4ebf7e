"""What a machine of Amazon's answers to who asks it for the credentials of its role (IMDSv2).

    instance_role.py KEYS LOG      prints its own port; writes a line a request; ends with its input. KEYS is a file with the two keys.
"""
import datetime
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

access_key, secret_key = open(sys.argv[1]).read().split()
log = open(sys.argv[2], "a", buffering=1)
TOKEN = "a-token"
ROLES = "/latest/meta-data/iam/security-credentials/"


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, body=""):
        log.write(f"{self.command} {self.path} {status}\n")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_PUT(self):
        self.answer(200, TOKEN) if self.path == "/latest/api/token" else self.answer(404)

    def do_GET(self):
        if self.headers.get("x-aws-ec2-metadata-token") != TOKEN:
            return self.answer(401)
        if self.path.rstrip("/") == ROLES.rstrip("/"):
            return self.answer(200, "vault")
        if self.path == ROLES + "vault":
            until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=6)
            return self.answer(200, json.dumps({
                "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": access_key, "SecretAccessKey": secret_key, "Token": "",
                "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ")}))
        if self.path == "/latest/meta-data/placement/availability-zone":
            return self.answer(200, "us-east-1a")
        self.answer(404)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.buffer.read()
