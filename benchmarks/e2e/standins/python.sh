#!/usr/bin/env bash
# python.sh ARCHITECTURE IMAGE: a Debian as small as python:slim, from Debian's packages for amd64 or arm64, with this
# machine's certificates, so that pip works behind a proxy. For arm64 the kernel must run such programs.
set -euo pipefail
ARCHITECTURE=$1 IMAGE=$2
MIRROR=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Release: bookworm' | head -n 1)
echo "building a stand-in for $IMAGE, $ARCHITECTURE" >&2
context=$(mktemp -d)
rootfs=$context/root
debootstrap --arch="$ARCHITECTURE" --variant=minbase --include=python3,python3-venv,ca-certificates bookworm \
  "$rootfs" "$MIRROR" >/dev/null
cp -t "$rootfs/usr/local/share/ca-certificates" /usr/local/share/ca-certificates/*.crt 2>/dev/null || true
chroot "$rootfs" update-ca-certificates >/dev/null 2>&1
ln -s ../../bin/python3 "$rootfs/usr/local/bin/python3"
ln -s ../../bin/python3 "$rootfs/usr/local/bin/python"
tar -C "$rootfs" --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' --exclude='./var/cache/apt/*' \
  --exclude='./var/lib/apt/lists/*' --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
  --exclude='./usr/share/locale/*' -cf "$context/root.tar" .
rm -rf --one-file-system "$rootfs"
# `docker import` of older engines takes every image for one of its own architecture; a build does not.
printf '%s\n' 'FROM scratch' 'ADD root.tar /' 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' 'CMD ["python3"]' |
  DOCKER_BUILDKIT=1 docker build --quiet --network host --platform "linux/$ARCHITECTURE" --tag "$IMAGE" --file - "$context" >/dev/null
rm -r "$context"
