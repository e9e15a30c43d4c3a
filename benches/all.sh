#!/usr/bin/env bash
# Every bench there is, one after the other, in a quarter of an hour on two cores once they are built:
# their tables go to target/benches, what belongs on benches/README.md to target/benches/page.md, and
# how long each took is printed. It fails if they took longer. For the page itself they are repeated
# more often: ROUNDS=9 makes medians of nine, and takes the better part of an hour.
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
    ROUNDS=${ROUNDS:-$2} run "$1" cargo bench -q -p offload-benches --bench "$1"
}
bench handoff 2
bench joinset 5
bench busy 5
bench burst 3
bench borrowed 5
bench streaming 3
bench open_loop 2
bench stall 2
bench server 1
bench process 3
bench remote 3
bench dashboard 3
bench overload 3
run cancelled cargo bench -q -p offload-benches --bench cancelled
for what in counting sampling; do
    PAIRS=2 run "$what" benches/counting.sh "$what"
done
run fastapi benches/fastapi/run.sh
ROUNDS=1 FUNCTIONS=100 run compile benches/compile/run.sh

page() { # NAME: the table that it printed for the page.
    sed -n '/^### For benches\/README.md$/,$p' "$results/$1.md" | grep '^|'
}
{
    page handoff
    echo
    page joinset
    for bench in busy burst open_loop stall server process remote; do
        page "$bench" | tail -n +3 # Its head is there already.
    done
} >"$results/page.md"

took=$((SECONDS - began))
echo "all: $took s"
[[ -n ${ROUNDS-} ]] || ((took <= 900))
