#!/bin/sh
# One camera of the demo: it plays the samples under the first name demo-N that no other container of the service has.
# Those that CANARY_STREAMS names send with CANARY_BUNDLE.
set -eu
number=1
until exec 9>"/state/demo-$number.lock" && flock --nonblock 9; do number=$((number + 1)); done
case " ${CANARY_STREAMS:-} " in *" demo-$number "*) export NARROWS_BUNDLE="$CANARY_BUNDLE" ;; esac
secrets=/run/secrets/demo-$number
[ -e "$secrets.key" ] || { echo "demo-$number has no key: raise DEMO_CAMERAS in .env" >&2; exit 1; }
export NARROWS_REDIS_URL="file:$secrets.url" NARROWS_KEY_FILE="$secrets.key"
exec narrows edge --source /samples/images/val --loop --stream-id "demo-$number" \
  --state-dir "/state/demo-$number" --journal "/state/demo-$number/journal.jsonl"
