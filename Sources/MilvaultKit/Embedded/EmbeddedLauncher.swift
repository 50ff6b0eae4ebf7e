extension EmbeddedMilvus {
  /// Starts the server, says "READY <port>", and stops it when its own standard input ends: so it goes whenever milvault goes, however that ends.
  static let launcher = #"""
    import ctypes, os, signal, socket, subprocess, sys, time

    generation, data, port, keep = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "keep"
    extra = sys.argv[5:]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # these are for milvault, which then closes our input

    def free_port():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    def die_with_parent():
        os.setsid()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    def answers(port):
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex(("127.0.0.1", port)) == 0

    def kill_group(child, number):
        try:
            os.killpg(child.pid, number)
            return True
        except ProcessLookupError:
            return False

    def has_ended(child):
        # milvus-server goes on waiting for a server that is gone: so its child is looked at too.
        if child.poll() is not None:
            return True
        try:
            with open("/proc/%d/task/%d/children" % (child.pid, child.pid)) as children:
                states = [open("/proc/%s/stat" % pid).read().rsplit(")", 1)[1].split()[0] for pid in children.read().split()]
            return bool(states) and all(state == "Z" for state in states)
        except OSError:
            return False

    def stdin_ended():
        while sys.stdin.buffer.read(4096):
            pass

    port = port or free_port()
    if generation == "lite-3.2.2":
        from milvus_lite.adapter.grpc.server import start_server_in_thread
        try:
            server, db, port = start_server_in_thread(data_dir=data, host="127.0.0.1", port=port)
        except Exception as error:
            if type(error).__name__ == "DataDirLockedError":
                sys.exit("the database is in use by another program")
            raise
        print("READY", port, flush=True)
        stdin_ended()
        server.stop(grace=2)
        db.close()
    elif generation == "lite-2.5.1":
        import fcntl, functools
        from milvus_lite import server as lite
        # Its own second opener deletes the first one's lock file: so the lock is tried before it gets to that.
        lock = os.path.join(os.path.dirname(data), ".%s.lock" % os.path.basename(data))
        if os.path.exists(lock):
            with open(lock, "a") as held:
                try:
                    fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    sys.exit("the database is in use by another program")
        # Its server would outlive us, unlocked.
        lite.subprocess.Popen = functools.partial(subprocess.Popen, preexec_fn=die_with_parent)
        server = lite.Server(data, "127.0.0.1:%d" % port)
        if not (server.init() and server.start()):
            sys.exit("the database is in use, or the server ended at once")
        for _ in range(300):
            if answers(port):
                break
            time.sleep(0.1)
        print("READY", port, flush=True)
        stdin_ended()
        server.stop()
    else:
        # What the milvus-server command does, but that the server it starts dies with it.
        main = (
            "import ctypes, functools, subprocess, sys\n"
            "die = lambda: sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 9)\n"
            "subprocess.Popen = functools.partial(subprocess.Popen, preexec_fn=die)\n"
            "from milvus import main\n"
            "sys.exit(main())")
        command = [sys.executable, "-c", main, "--data", data, "--proxy-port", str(port)]
        for setting in extra:
            command += ["--extra-config", setting]
        child = subprocess.Popen(command, preexec_fn=die_with_parent, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        for _ in range(1200):
            if answers(port) or has_ended(child):
                break
            time.sleep(0.1)
        if has_ended(child):
            kill_group(child, signal.SIGKILL)
            sys.exit("it ended at once; another standalone Milvus may run here (they take the fixed ports 2379, 2380, 9091, 13333, 19529)")
        print("READY", port, flush=True)
        stdin_ended()
        if keep:
            kill_group(child, signal.SIGTERM)
            try:
                child.wait(60)
            except subprocess.TimeoutExpired:
                pass
        kill_group(child, signal.SIGKILL)
        child.wait()
        # The ports are free only when the last of them is gone.
        for _ in range(300):
            if not kill_group(child, signal.SIGKILL):
                break
            time.sleep(0.1)
    """#
}
