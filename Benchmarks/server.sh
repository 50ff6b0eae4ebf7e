# Sourced by the benchmarks, from the project's folder: an embedded Milvus 2.3.5 at $uri, a scratch folder to work in, and ways to measure.
root=$PWD port=19530 uri=http://127.0.0.1:19530
export MILVAULT_EMBEDDED_HOME=${MILVAULT_EMBEDDED_HOME:-$PWD/.venv}
milvault=$root/.build/release/milvault
python=$MILVAULT_EMBEDDED_HOME/2.3.5/bin/python
work=$(mktemp -d)
cd "$work"
# With `data` set to a folder's name it keeps its data there, where files for its import can be put.
"$milvault" embedded start 2.3.5 --port $port ${data:+--data "$work/$data"} >start.log 2>&1 &
server=$!
trap 'kill -INT $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
until grep -q "answers at" start.log; do kill -0 $server || { cat start.log; exit 1; }; sleep 0.2; done

# What a user would do with pymilvus: see milvus_bench.py.
pymilvus() { "$python" "$root/Benchmarks/milvus_bench.py" $uri "$@"; }

# timed NAME COMMAND…: wall seconds, peak memory in MB and CPU seconds, the server's CPU seconds meanwhile
server_cpu() { cat $(pgrep -f 'milvus run standalone' | sed 's|.*|/proc/&/stat|') | awk '{s += $14 + $15} END {print s / 100}'; }
declare -A wall memory cpu served
timed() {
  local name=$1; shift
  local before; before=$(server_cpu)
  /usr/bin/env time -f '%e %M %U %S' -o time.txt "$@" >out.txt 2>err.txt || { echo "$name failed"; cat out.txt err.txt; exit 1; }
  read -r w m u s < <(tail -n 1 time.txt)
  wall[$name]=$w memory[$name]=$((m / 1024)) cpu[$name]=$(awk "BEGIN {print $u + $s}") served[$name]=$(awk "BEGIN {print $(server_cpu) - $before}")
}
row() { printf '%-46s %8s %8s %8s %8s  %s\n' "$@"; }
