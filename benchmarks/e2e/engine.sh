#!/usr/bin/env bash
# Docker Engine and Compose v2 on a bare Debian, as root: what is there is used, what is missing is installed.
# Debian 12 has Compose 1 only; that of Debian 13 runs on it, so its package is taken apart for the plugins alone.
# With --programs nothing is started: the caller runs engines of its own.
set -euo pipefail
PLUGINS=/usr/local/lib/docker/cli-plugins
LOG=/var/log/narrows-dockerd.log

say() { echo "e2e: $*" >&2; }

install_packages() {
  local missing=()
  command -v dockerd >/dev/null || missing+=(docker.io iptables)
  command -v debootstrap >/dev/null || missing+=(debootstrap)
  ((${#missing[@]})) || return 0
  [ "$(id -u)" = 0 ] || { say "run me as root, or install ${missing[*]}"; exit 1; }
  say "installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

start_engine() {
  docker version >/dev/null 2>&1 && return 0
  say "starting dockerd, log in $LOG"
  nohup dockerd >"$LOG" 2>&1 &
  for _ in $(seq 60); do
    docker version >/dev/null 2>&1 && return 0
    sleep 0.5
  done
  say "dockerd does not answer; the end of $LOG:"
  tail -n 20 "$LOG" >&2
  exit 1
}

install_plugins() {
  docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1 && return 0
  local folder
  folder=$(mktemp -d)
  say "installing Compose v2 and buildx from Debian 13's packages"
  "$(dirname "${BASH_SOURCE[0]}")/trixie.sh" "$folder" docker-compose docker-buildx
  mkdir -p "$PLUGINS"
  install -m 755 "$folder"/usr/libexec/docker/cli-plugins/docker-{compose,buildx} "$PLUGINS"
  rm -rf "$folder"
  docker compose version >&2
}

install_packages
[ "${1-}" = --programs ] || start_engine
install_plugins
