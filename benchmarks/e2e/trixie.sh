#!/usr/bin/env bash
# trixie.sh FOLDER PACKAGE...: unpack packages of Debian 13 in a folder; nothing of them is installed.
set -euo pipefail
FOLDER=$1
shift
MIRROR=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Release: bookworm' | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,cache/archives/partial} "$FOLDER"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR trixie main" >"$work/sources.list"
apt=(-o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
  -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update -qq
(cd "$work" && apt-get "${apt[@]}" download -qq "$@")
for package in "$work"/*.deb; do dpkg -x "$package" "$FOLDER"; done
