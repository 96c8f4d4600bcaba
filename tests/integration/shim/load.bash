# A client that connects all the time to the server of lib.bash.

# New connections as fast as one client makes them, until it is killed: what went wrong, one word a line.
start_load() {
    python3 - "$PORT" "$BATS_TEST_TMPDIR/load" <<'END' 3>&- &
import socket, sys
with open(sys.argv[2], "w", buffering=1) as out:
    while True:
        try:
            with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) as s:
                s.sendall(b"GET /count HTTP/1.1\r\nHost: t\r\n\r\n")
                print("answered" if s.recv(65536).startswith(b"HTTP/1.1 200") else "cut", file=out)
        except ConnectionRefusedError:
            print("refused", file=out)
        except OSError:
            print("cut", file=out)
END
    LOADER=$!
    until [ -s "$BATS_TEST_TMPDIR/load" ]; do sleep 0.02; done
}
stop_load() {
    kill "$LOADER"
    wait "$LOADER" 2>/dev/null || true
    LOADER=
    refused=$(grep -c refused "$BATS_TEST_TMPDIR/load" || true)
    answered=$(grep -c answered "$BATS_TEST_TMPDIR/load" || true)
    cut=$(grep -c cut "$BATS_TEST_TMPDIR/load" || true)
    echo "# answered $answered, refused $refused, cut $cut" >&3
}
