#!/bin/sh
# node.sh NAME ADDRESS FOLDER BUNDLES DAEMON_JSON CGROUP: a Docker engine as on a machine of its own, in namespaces of its
# own. It begins once its link eth0 is there, which a line on the standard input says.
set -eu
NAME=$1 ADDRESS=$2 FOLDER=$3 BUNDLES=$4 DAEMON=$5 CGROUP=$6
mkdir -p "/run/$NAME" /etc/docker
mount -t tmpfs tmpfs /etc/docker
mount -t tmpfs tmpfs /srv
mkdir -p /srv/narrows/bundles
mount --bind "$BUNDLES" /srv/narrows/bundles
hostname "$NAME"
read -r _
ip link set lo up
ip address add "$ADDRESS/24" dev eth0
ip link set eth0 up
exec dockerd --config-file "$DAEMON" --data-root "$FOLDER/store" --exec-root "/run/$NAME/docker" \
  --pidfile "/run/$NAME/docker.pid" --host "unix:///run/$NAME.sock" --cgroup-parent "$CGROUP"
