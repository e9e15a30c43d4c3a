#!/usr/bin/env bash
# Every bench there is, one after the other, in a quarter of an hour on two cores once they are built:
# their tables go to target/benches, and how long each took is printed. It fails if they took longer.
# Most are repeated less often here than for the tables of benches/README.md: by themselves they are
# run as often as those need, and ROUNDS=9 makes medians of nine.
set -euo pipefail
cd "$(dirname "$0")/.."
results=target/benches
mkdir -p "$results"
cargo bench -q -p offload-benches --no-run
for what in counting sampling; do
    PAIRS=0 benches/counting.sh "$what" >/dev/null # Builds.
done

began=$SECONDS
run() { # NAME COMMAND...
    local start=$SECONDS
    "${@:2}" >"$results/$1.md"
    echo "$1: $((SECONDS - start)) s"
}
bench() { # NAME ROUNDS
    ROUNDS=$2 run "$1" cargo bench -q -p offload-benches --bench "$1"
}
bench handoff 2
bench joinset 5
bench busy 5
bench burst 3
bench open_loop 2
bench stall 2
bench server 1
bench process 3
bench dashboard 3
bench overload 3
run cancelled cargo bench -q -p offload-benches --bench cancelled
for what in counting sampling; do
    PAIRS=2 run "$what" benches/counting.sh "$what"
done
run fastapi benches/fastapi/run.sh
ROUNDS=1 FUNCTIONS=100 run compile benches/compile/run.sh
took=$((SECONDS - began))
echo "all: $took s"
((took <= 900))
