#!/bin/sh
# Pre-stop hook of a Triton pod. A pod that goes leaves the headless service first; dispatchers look there every two
# seconds. SIGTERM before they have moved away would fail the batches in between: wait until nobody has asked for
# three seconds, or for $1 seconds at most.
until_s=$(($(date +%s) + $1))
asked() { curl --noproxy '*' -s http://127.0.0.1:8002/metrics | awk '/^nv_inference_request_(success|failure)/ {s += $2} END {print s + 0}'; }
before=$(asked)
quiet=0
while [ "$quiet" -lt 3 ] && [ "$(date +%s)" -lt "$until_s" ]; do
  sleep 1
  now=$(asked)
  if [ "$now" = "$before" ]; then quiet=$((quiet + 1)); else quiet=0; fi
  before=$now
done
