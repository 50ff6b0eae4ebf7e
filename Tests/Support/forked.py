"""Runs milvus.py again and again without importing pymilvus each time: every run is a fork of this process, which connects to nothing itself.

    forked.py        reads requests from its input, one JSON object a line:
                     {"arguments": […], "output": PATH, "errors": PATH, "code": PATH}; the exit code is in the last file when the run has ended
"""
import json
import os
import runpy
import signal
import sys
import traceback

import numpy  # noqa: F401, as the next: here so that the runs have it
import pymilvus  # noqa: F401

script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "milvus.py")


def run(request):
    """In a process of its own."""
    for number, path in ((1, request["output"]), (2, request["errors"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.argv = [script] + request["arguments"]
    code = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1 if error.code else 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def watch(request):
    """In a process of its own, too: starts the run, and says how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    runner = os.fork()
    if runner == 0:
        run(request)
    _, status = os.waitpid(runner, 0)
    with open(request["code"] + ".new", "w") as file:
        file.write(str(os.waitstatus_to_exitcode(status)))
    os.rename(request["code"] + ".new", request["code"])
    os._exit(0)


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    if os.fork() == 0:
        watch(json.loads(line))
