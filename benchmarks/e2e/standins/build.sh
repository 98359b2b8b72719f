#!/usr/bin/env bash
# Images with the names that the compose file pins, for those that cannot be pulled here: the real programs, from
# Debian's packages and Triton's wheel, and for Grafana a page that says that it is not there. One that is there is kept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
ROOT=$(git rev-parse --show-toplevel)
BASE=python:3.11-slim-bookworm

say() { echo "e2e: $*" >&2; }
there() { docker image inspect "$1" >/dev/null 2>&1; }

base() { # a Debian as small as python:slim, with this machine's certificates, so that pip works behind a proxy
  local rootfs mirror
  rootfs=$(mktemp -d)
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Release: bookworm' | head -n 1)
  say "building a stand-in for $BASE"
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$rootfs" "$mirror" >/dev/null
  cp -t "$rootfs/usr/local/share/ca-certificates" /usr/local/share/ca-certificates/*.crt 2>/dev/null || true
  chroot "$rootfs" update-ca-certificates >/dev/null 2>&1
  ln -s ../../bin/python3 "$rootfs/usr/local/bin/python3"
  ln -s ../../bin/python3 "$rootfs/usr/local/bin/python"
  tar -C "$rootfs" --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' --exclude='./var/cache/apt/*' \
    --exclude='./var/lib/apt/lists/*' --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
    --exclude='./usr/share/locale/*' -c . |
    docker import --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' --change 'CMD ["python3"]' - "$BASE" >/dev/null
  rm -rf --one-file-system "$rootfs"
}

stand_in() { # NAME IMAGE: from the Dockerfile in folder NAME
  there "$2" && return 0
  there "$BASE" || base
  say "building a stand-in for $2"
  local context
  context=$(mktemp -d)
  cp -t "$context" "$1"/* "$ROOT"/constraints-triton.txt "$ROOT"/orchestrator/supervise/backends/onnxruntime/model.py
  docker build --quiet --label narrows.stand-in=yes --tag "$2" --build-arg "BASE=$BASE" "$context" >/dev/null
  rm -r "$context"
}

obtain() { # NAME IMAGE: the public one if it can be had
  there "$2" || docker pull --quiet "$2" >/dev/null 2>&1 || stand_in "$1" "$2"
}

there "$BASE" || docker pull --quiet "$BASE" >/dev/null 2>&1 || base
while read -r name image; do obtain "$name" "$image"; done
