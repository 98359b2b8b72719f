#!/usr/bin/env bash
# source.sh FOLDER PACKAGE: a source package of Debian 12, unpacked and patched; apt's own settings stay as they are.
# source.sh --program FOLDER PACKAGE: the programs of a binary package, unpacked; nothing of it is installed or started.
set -euo pipefail
KIND=source
[ "$1" != --program ] || { KIND=program; shift; }
FOLDER=$1 PACKAGE=$2
MIRROR=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Release: bookworm' | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,cache/archives/partial}
for type in deb deb-src; do
  echo "$type [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR bookworm main"
done >"$work/sources.list"
apt=(-o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
  -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update -qq
cd "$work"
if [ "$KIND" = source ]; then
  apt-get "${apt[@]}" source -qq "$PACKAGE" >/dev/null
  mkdir -p "$(dirname "$FOLDER")"
  mv "$PACKAGE"-*/ "$FOLDER"
else
  apt-get "${apt[@]}" download -qq "$PACKAGE"
  dpkg -x "$PACKAGE"_*.deb "$FOLDER"
fi
