#!/usr/bin/env bash
# Images with the names that the compose file pins, for those that cannot be pulled here: the real programs, from
# Debian's packages and Triton's wheel, and for Grafana a page that says that it is not there. One that is there is kept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
ROOT=$(git rev-parse --show-toplevel)
BASE=python:3.11-slim-bookworm

say() { echo "e2e: $*" >&2; }
there() { docker image inspect "$1" >/dev/null 2>&1; }

base() { ./python.sh amd64 "$BASE"; }

stand_in() { # NAME IMAGE: from the Dockerfile in folder NAME
  there "$2" && return 0
  there "$BASE" || base
  say "building a stand-in for $2"
  local context
  context=$(mktemp -d)
  cp -t "$context" "$1"/* "$ROOT"/constraints-triton.txt "$ROOT"/orchestrator/servers/backends/onnxruntime/model.py
  docker build --quiet --network host --label narrows.stand-in=yes --tag "$2" --build-arg "BASE=$BASE" "$context" >/dev/null
  rm -r "$context"
}

obtain() { # NAME IMAGE: the public one if it can be had
  there "$2" || docker pull --quiet "$2" >/dev/null 2>&1 || stand_in "$1" "$2"
}

there "$BASE" || docker pull --quiet "$BASE" >/dev/null 2>&1 || base
while read -r name image; do obtain "$name" "$image"; done
