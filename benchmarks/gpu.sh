#!/usr/bin/env bash
# What a GPU that is at hand for a short while is asked, in at most ten minutes.
#
#     benchmarks/gpu.sh                         # figures in output/gpu/gpu.jsonl
#     benchmarks/gpu.sh FOLDER steps resume     # some parts only, figures in another folder
#     benchmarks/gpu.sh --tiny                  # all of it on a CPU, in a minute
#     PYTHON=python3.12 benchmarks/gpu.sh       # another Python than python3
#
# Needs no network and no data set: images are made. What setup.cfg requires and Detectron2 have to
# be there; the part `check` names what is missing. Without Ray the part `worker` is noted as
# skipped. Each part has its own time limit, and one that fails does not stop the others; the status
# is 1 if one did. gpu_parts.py says what the parts are.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tiny=()
if [ "${1:-}" = --tiny ]; then
    tiny=(--tiny)
    shift
fi
folder=${1:-$root/output/gpu}
shift $(($# > 0))
mkdir -p "$folder"
figures=$(cd "$folder" && pwd)/gpu.jsonl
log=${figures%.jsonl}.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$log"

failed=()
# part NAME SECONDS: run it, with its output in the log; returns whether it came to its end.
part() {
    local start=$SECONDS status
    timeout --kill-after=5 "$2" "${PYTHON:-python3}" "$root/benchmarks/gpu_parts.py" \
        "$1" "$work" "$figures" "${tiny[@]}" >>"$log" 2>&1
    status=$?
    if [ $status = 0 ]; then
        echo "$1: $((SECONDS - start)) s"
        return 0
    fi
    failed+=("$1")
    echo "{\"part\": \"$1\", \"failed\": $status}" >>"$figures"
    echo "$1: FAILED with status $status after $((SECONDS - start)) of $2 s: $(tail -n 1 "$log")"
    return 1
}

# The limits add up to less than ten minutes.
part check 60 && part data 30 || exit 1
wanted=${*:-candidate steps mixed classification resume worker}
for name in $wanted; do
    case $name in
    candidate) part candidate 110 ;;
    steps) part steps 80 ;;
    mixed) part mixed 80 ;;
    classification) part classification 80 ;;
    resume) part resume 80 ;;
    worker) part worker 75 ;;
    *) echo "gpu.sh: there is no part '$name'" >&2 && failed+=("$name") ;;
    esac
done
echo "figures: $figures, output: $log"
if [ ${#failed[@]} -gt 0 ]; then
    echo "FAILED: ${failed[*]}"
    exit 1
fi
