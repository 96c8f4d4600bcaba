# A receiver of web hooks on loopback, and an agent.json that names it.
# Sourced; needs BATS_TEST_TMPDIR. The token is a secret.
# shellcheck shell=bash

# Answers each POST with STATUS (200), or not at all (silent), or without end (endless). What came is in $hooks/N.json, {"path","headers","body"}.
hooks_receive() { # [STATUS|silent|endless]
    hooks=$BATS_TEST_TMPDIR/hooks
    mkdir -p "$hooks"
    /usr/bin/python3 -B -E - "$hooks" "${1:-200}" 3>&- <<'PY' &
import http.server, json, os, sys, time
directory, mode = sys.argv[1:]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        n = len([f for f in os.listdir(directory) if f.endswith(".json")])
        with open(f"{directory}/{n}.tmp", "w") as f:
            json.dump({"path": self.path, "headers": dict(self.headers), "body": body}, f)
        os.rename(f"{directory}/{n}.tmp", f"{directory}/{n}.json")
        if mode == "silent":
            self.rfile.read(1)                  # until the other side gives up
            return
        self.send_response(200 if mode == "endless" else int(mode))
        if mode.startswith("3"):
            self.send_header("Location", "/elsewhere")
        if mode == "endless":
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 4096)
            except OSError:
                return
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(f"{directory}/port.tmp", "w") as f:
    f.write(str(server.server_port))
os.rename(f"{directory}/port.tmp", f"{directory}/port")
server.serve_forever()
PY
    hooks_pid=$!
    until [ -e "$hooks/port" ]; do
        kill -0 $hooks_pid
        sleep 0.01
    done
    hooks_port=$(cat "$hooks/port")
}

# hooks_configure AGENT.JSON [TIMEOUT]
hooks_configure() {
    (umask 077 && echo a-secret >"$BATS_TEST_TMPDIR/token")
    jq --arg url "http://127.0.0.1:$hooks_port/hooks/moss" --arg token "$BATS_TEST_TMPDIR/token" --argjson timeout "${2:-3}" \
        '.webhooks = {url: $url, tokenFile: $token, timeoutSeconds: $timeout}' "$1" >"$1.new"
    mv "$1.new" "$1"
}

# The payload of the Nth POST, from 0.
hooks_payload() { # N FILTER
    jq -r ".body | fromjson | .payload | $2" "$hooks/$1.json"
}

hooks_end() {
    if [ -n "${hooks_pid:-}" ]; then
        kill "$hooks_pid" 2>/dev/null || true
        wait "$hooks_pid" 2>/dev/null || true
    fi
}
