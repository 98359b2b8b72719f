#!/usr/bin/env bash
# Docker Engine and Compose v2 on a bare Debian, as root: what is there is used, what is missing is installed.
# Debian 12 has Compose 1 only; that of Debian 13 runs on it, so its package is taken apart for the plugins alone.
set -euo pipefail
PLUGINS=/usr/local/lib/docker/cli-plugins
LOG=/var/log/narrows-dockerd.log

say() { echo "e2e: $*" >&2; }

debian_mirror() { # the one that this machine uses
  apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Release: bookworm' | head -n 1
}

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
  local folder apt
  folder=$(mktemp -d)
  say "installing Compose v2 and buildx from Debian 13's packages"
  mkdir -p "$folder"/{lists/partial,cache/archives/partial}
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) trixie main" >"$folder/sources.list"
  apt=(-o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$folder/lists"
    -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" update -qq
  (cd "$folder" && apt-get "${apt[@]}" download -qq docker-compose docker-buildx)
  mkdir -p "$PLUGINS"
  for package in "$folder"/*.deb; do dpkg -x "$package" "$folder/root"; done
  install -m 755 "$folder"/root/usr/libexec/docker/cli-plugins/docker-{compose,buildx} "$PLUGINS"
  rm -rf "$folder"
  docker compose version >&2
}

install_packages
start_engine
install_plugins
