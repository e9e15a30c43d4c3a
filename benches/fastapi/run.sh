#!/usr/bin/env bash
# The load of the server bench against the four methods of FastAPI: a fresh uvicorn
# with uvloop for each, on the loopback. It needs Python 3.10 or later with venv, and PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=target/fastapi
[[ -x $environment/bin/uvicorn ]] || {
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet -r benches/fastapi/requirements.txt
}
bench=$(cargo bench -q -p offload-benches --bench server --no-run --message-format=json |
    grep -o '"executable":"[^"]*server[^"]*"' | cut -d'"' -f4)
port=${PORT:-8765}
server=
stop() { # The server, and the processes of its pool, which it would leave behind.
    [[ -n $server ]] || return 0
    local pool
    pool=$(pgrep -P "$server" || true)
    # All at once: they would go on without each other, and complain. One word each.
    # shellcheck disable=SC2086
    kill -KILL "$server" $pool
    wait "$server" 2>/dev/null || true
    server=
}
trap stop EXIT

echo "| | p50 ms | p99 ms | p99.9 ms | worst ms | pings served | p99, times idle | answers/s |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- |"
for path in /to_thread /def_route /run_in_threadpool /process_pool; do
    "$environment/bin/uvicorn" --app-dir benches/fastapi --loop uvloop --host 127.0.0.1 --port "$port" \
        --log-level warning app:app &
    server=$!
    for ((try = 0; try < 100; try++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
        sleep 0.1
    done
    timeout 60 "$bench" load "127.0.0.1:$port" "$path"
    stop
done >"$environment/rows"
cat "$environment/rows"
printf '\n### Rows of benches/RESULTS.md\n\n'
awk -F ' *[|] *' '{ cells = cells sep $2 ": " $8; sep = "; " }
    END { print "| FastAPI: 500 pings a second beside work that computes, p99 | `fastapi/run.sh` | an idle server | " cells " | 1 |  |" }' \
    "$environment/rows"
