#!/usr/bin/env bash
# What it costs a call whose body does nothing that calls are counted (`benches/counting.sh`), or that bodies
# are sampled to find functions of the wrong kind (`benches/counting.sh sampling`): the hand-off with and
# without it, in turn, a fresh process each. PAIRS sets how often; 7 unless set.
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:-counting}
case $what in
counting) off=offload_uncounted ;;
sampling) off=offload_unsampled ;;
*) echo "usage: benches/counting.sh [counting | sampling]" >&2 && exit 2 ;;
esac

built() { # TARGET RUSTFLAGS: builds the bench, and prints its path.
    CARGO_TARGET_DIR=target/$1 RUSTFLAGS=$2 cargo bench -q -p offload-benches --bench handoff --no-run \
        --message-format=json | grep -o '"executable":"[^"]*handoff[^"]*"' | cut -d'"' -f4
}
with=$(built complete "")
without=$(built "$off" "--cfg $off")

results=$(mktemp -d)
trap 'rm -r "$results"' EXIT
[[ ${PAIRS-} != 0 ]] || exit 0 # It is built.
for ((pair = 1; pair <= ${PAIRS:-7}; pair++)); do
    "$with" counting >"$results/with.$pair"
    "$without" counting >"$results/without.$pair"
done
# The processor time of a call, with and without, pair by pair.
echo "processor time with $what / without, median (lowest–highest):"
for cell in "cpu 1" "cpu 64" "cpu 1000" "thread 1" "thread 64" "thread 1000"; do
    for ((pair = 1; pair <= ${PAIRS:-7}; pair++)); do
        nanos() { sed -n "s/^$cell .* \([0-9]*\) ns.*/\1/p" "$results/$1.$pair"; }
        echo "$(nanos with) $(nanos without)"
    done | awk '{ print $1 / $2 }' | sort -n | awk -v cell="$cell" \
        '{ r[NR] = $1 } END { printf "%s: %.2f (%.2f–%.2f)\n", cell, r[int((NR + 1) / 2)], r[1], r[NR] }'
done | tee "$results/cells"
[[ $what == counting ]] && aim="1.1 at most" || aim=
printf '\n### Rows of benches/RESULTS.md\n\n'
printf '| what it costs a call that %s, processor time | `counting.sh %s` | without it | %s | %d | %s |\n' \
    "$([[ $what == counting ]] && echo calls are counted || echo bodies are sampled)" "$what" \
    "$(paste -sd';' "$results/cells" | sed 's/;/; /g')" "${PAIRS:-7}" "$aim"
