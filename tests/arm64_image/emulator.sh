#!/usr/bin/env bash
# Let this kernel run aarch64 programs, in containers too, by Debian 13's qemu: under Debian 12's ONNX Runtime crashes.
# `emulator.sh off` takes it back.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
BINFMT=/proc/sys/fs/binfmt_misc
NAME=narrows-aarch64
MAGIC='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
MASK='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'

[ "$(id -u)" = 0 ] || { echo "only root may register an emulator" >&2; exit 1; }
[ -e $BINFMT/register ] || mount -t binfmt_misc binfmt_misc $BINFMT
if [ "${1:-on}" = off ]; then
  [ ! -e $BINFMT/$NAME ] || echo -1 >$BINFMT/$NAME
elif [ ! -e $BINFMT/$NAME ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  ../../benchmarks/e2e/trixie.sh "$folder" qemu-user
  # F: the kernel keeps the file open, so that containers need none and the folder may go.
  printf '%s' ":$NAME:M::$MAGIC:$MASK:$folder/usr/bin/qemu-aarch64:F" >$BINFMT/register
fi
