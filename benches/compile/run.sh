#!/usr/bin/env bash
# What the attribute adds to the time to compile a crate, and to its program: functions with it,
# the same written by hand with `spawn_blocking`, and the same left synchronous. FUNCTIONS sets
# how many, 500 unless set, and a fifth of that for optimised builds; ROUNDS how often each is
# built, 2 unless set. Then, how long the runtime takes to build from nothing: beside tokio alone,
# and beside what an axum service has.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD
crates=target/compile
many=${FUNCTIONS:-500}
few=$((many / 5))

crate() { # NAME DEPENDENCIES...
    mkdir -p "$crates/$1/src"
    {
        printf '[package]\nname = "%s"\nedition = "2024"\n\n[workspace]\n\n[dependencies]\n' "$1"
        printf '%s\n' "${@:2}"
    } >"$crates/$1/Cargo.toml"
    cp Cargo.lock "$crates/$1/"
}
tokio='tokio = { version = "1", features = ["rt"] }'
runtime="offload-runtime = { path = \"$here/offload-runtime\" }"

signature() { echo "(text: String, add: u64) -> Result<u64, std::num::ParseIntError>"; }
body='Ok(text.parse::<u64>()? + add)'
program() { # KIND FUNCTIONS: its crate.
    local kind=$1 functions=$2 n
    crate "$kind" "$tokio" "$runtime"
    {
        for ((n = 0; n < functions; n++)); do
            case $kind in
                attribute) echo "#[offload_runtime::offload(thread)] fn f$n$(signature) { $body }" ;;
                by_hand)
                    echo "async fn f$n$(signature) {"
                    echo "    let job = tokio::task::spawn_blocking(move || -> Result<u64, std::num::ParseIntError> { $body });"
                    echo "    match job.await { Ok(result) => result, Err(error) => std::panic::resume_unwind(error.into_panic()) }"
                    echo "}"
                    ;;
                plain) echo "fn f$n$(signature) { $body }" ;;
            esac
        done
        if [[ $kind == plain ]]; then
            echo "fn all() -> u64 {"
            echo "    let mut sum = 0;"
            for ((n = 0; n < functions; n++)); do echo "    sum += f$n(String::from(\"1\"), $n).unwrap_or(0);"; done
            echo "    sum"
            echo "}"
            echo "async fn run() -> u64 { all() }"
        else
            # Boxed: one future that awaits them all would take longer than the rest.
            echo "type Answer = std::pin::Pin<Box<dyn Future<Output = Result<u64, std::num::ParseIntError>>>>;"
            echo "fn all() -> Vec<Answer> {"
            echo "    let mut all: Vec<Answer> = Vec::new();"
            for ((n = 0; n < functions; n++)); do echo "    all.push(Box::pin(f$n(String::from(\"1\"), $n)));"; done
            echo "    all"
            echo "}"
            echo "async fn run() -> u64 {"
            echo "    let mut sum = 0;"
            echo "    for answer in all() { sum += answer.await.unwrap_or(0); }"
            echo "    sum"
            echo "}"
        fi
        echo "fn main() {"
        if [[ $kind != plain ]]; then
            echo '    println!("{} bytes", size_of_val(&f0(String::new(), 0)));'
        fi
        echo '    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");'
        echo '    println!("{}", runtime.block_on(run()));'
        echo "}"
    } >"$crates/$kind/src/main.rs"
}

seconds() { # COMMAND...: how long it takes.
    local began ended
    began=$(date +%s%N)
    "$@" >/dev/null 2>&1
    ended=$(date +%s%N)
    awk -v from="$began" -v to="$ended" 'BEGIN { printf "%.2f\n", (to - from) / 1e9 }'
}
build() { # KIND PROFILE...: its own crate only, from nothing.
    touch "$crates/$1/src/main.rs"
    CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$crates/target cargo build -q "${@:2}" --manifest-path "$crates/$1/Cargo.toml"
}
compare() { # FUNCTIONS PROFILE...: the middle of some rounds.
    local functions=$1 kind round
    for kind in attribute by_hand plain; do
        program "$kind" "$functions"
        build "$kind" "${@:2}"
    done
    for ((round = 0; round < ${ROUNDS:-2}; round++)); do
        echo "$(seconds build plain "${@:2}") $(seconds build by_hand "${@:2}") $(seconds build attribute "${@:2}")"
    done | awk -v functions="$functions" '{ print ($3 - $1) / ($2 - $1), ($3 - $1) / functions * 1000, ($2 - $1) / functions * 1000 }' |
        sort -n | awk -v what="$functions functions, $([[ -n ${2-} ]] && echo optimised || echo unoptimised)" -v file="$crates/rows" '
            { ratio[NR] = $1; ours[NR] = $2; hand[NR] = $3 }
            END {
                m = int((NR + 1) / 2)
                printf "%s: the attribute adds %.1f ms a function, by hand %.1f ms: %.2f times (%.2f to %.2f)\n",
                    what, ours[m], hand[m], ratio[m], ratio[1], ratio[NR]
                printf "| time to compile %s | `compile/run.sh` | `spawn_blocking` by hand | %.2f (%.2f–%.2f): %.1f, not %.1f ms a function | %d | 1 at most |\n",
                    what, ratio[m], ratio[1], ratio[NR], ours[m], hand[m], NR >>file
            }'
}
mkdir -p "$crates"
: >"$crates/rows"
compare "$many"
compare "$few" --release

# What a function adds to an optimised program: to one that has twice as many.
sections() { size "$crates/target/release/$1" | awk 'NR == 2 { print $1, $2 }'; }
for kind in attribute by_hand; do
    read -r text data < <(sections "$kind")
    program "$kind" $((few * 2))
    build "$kind" --release
    read -r more_text more_data < <(sections "$kind")
    said=$("$crates/target/release/$kind")
    echo "$kind: $(((more_text - text) / few)) bytes of code and constants a function, and $(((more_data - data) / few)) of data;" \
        "a future of ${said%%$'\n'*}"
done

service='axum = "0.8"
tokio = { version = "1", features = ["rt-multi-thread", "macros", "net"] }
serde = { version = "1", features = ["derive"] }
serde_json = "1"
tracing = "0.1"'
from_nothing() { # NAME DEPENDENCIES: how long they take to build.
    crate dependencies "$2"
    : >"$crates/dependencies/src/lib.rs"
    rm -rf "$crates/clean"
    echo "$1, from nothing: $(CARGO_TARGET_DIR=$crates/clean seconds \
        cargo build -q --manifest-path "$crates/dependencies/Cargo.toml") s"
}
from_nothing "tokio alone" "$tokio"
from_nothing "the runtime, without default features" "${runtime% \}}, default-features = false }"
from_nothing "the runtime" "$runtime"
from_nothing "what an axum service has" "$service"
from_nothing "the same and the runtime" "$service
$runtime"
rm -rf "$crates/clean"
printf '\n### Rows of benches/RESULTS.md\n\n'
cat "$crates/rows"
