#!/usr/bin/env bash
# Every bench there is, one after the other: in a quarter of an hour on two cores once they are built,
# and it fails if they took longer. ROUNDS=9 repeats them for the page, and takes more than an hour.
# Tables go to target/benches; after each bench its rows of benches/RESULTS.md are in
# target/benches/rows.md, and the cells of the hand-off in target/benches/cells.md.
# One that fails does not end the others: it is named at the end.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
results=target/benches
mkdir -p "$results" || exit
rm -f "$results"/*.md
cargo bench -q -p offload-benches --no-run || exit
for what in counting sampling; do
    PAIRS=0 benches/counting.sh "$what" >/dev/null || exit # Builds.
done

began=$SECONDS
failed=()
below() { # HEADING FILE: the lines of the table there.
    sed -n "\\|^### $1\$|,/^###/ { /^|/p }" "$2"
}
run() { # NAME COMMAND...
    local start=$SECONDS
    "${@:2}" >"$results/$1.md" || failed+=("$1")
    below "Rows of benches/RESULTS.md" "$results/$1.md" >>"$results/rows.md"
    below "Cells of benches/RESULTS.md" "$results/$1.md" >>"$results/cells.md"
    echo "$1: $((SECONDS - start)) s"
}
bench() { # NAME ROUNDS
    ROUNDS=${ROUNDS:-$2} run "$1" cargo bench -q -p offload-benches --bench "$1"
}
bench handoff 2
bench joinset 5
bench busy 5
bench burst 3
bench server 1
bench stall 2
bench open_loop 2
bench borrowed 5
bench streaming 3
bench process 3
bench remote 3
bench overload 3
bench dashboard 3
bench cancelled 7
for what in counting sampling; do
    PAIRS=${ROUNDS:-2} run "$what" benches/counting.sh "$what"
done
functions=$([[ -n ${ROUNDS-} ]] && echo 500 || echo 100)
ROUNDS=${ROUNDS:-1} FUNCTIONS=$functions run compile benches/compile/run.sh
run fastapi benches/fastapi/run.sh

took=$((SECONDS - began))
echo "all: $took s"
[[ ${#failed[@]} == 0 ]] || { echo "failed: ${failed[*]}"; exit 1; }
[[ -n ${ROUNDS-} ]] || ((took <= 900))
