#!/usr/bin/env bash
# A Docker engine with Compose for `npm run test:compose`, on a machine that has neither: Debian's
# docker.io with a data folder and a socket of its own, and Compose built as a Go tool. What it makes is
# kept in the cache folder. Prints the variables that point at it; `engine.sh compose` builds Compose, which
# takes as long as the images and can be done beside them; `engine.sh stop` ends what it started.
set -euo pipefail

COMPOSE_VERSION=2.40.3
CACHE=${CDC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cdc}/compose
# Sockets have short paths.
RUN=/tmp/cdc-engine-$(id -u)
SOCKET=$RUN/docker.sock

say() { echo "$*" >&2; }
give_up() {
  say "✖ $1"
  say "  cause: $2"
  say "  fix:   $3"
  exit 3
}

# Of runs that were killed: they start again with the engine, and take the machine from whoever tests.
clean() {
  local left
  left=$(docker -H "unix://$SOCKET" ps -aq)
  [[ -z $left ]] && return
  say 'removing containers of an earlier run…'
  xargs docker -H "unix://$SOCKET" rm -fv <<<"$left" >/dev/null
  docker -H "unix://$SOCKET" volume prune -f >/dev/null
  docker -H "unix://$SOCKET" network prune -f >/dev/null
}

if [[ ${1:-} == stop ]]; then
  if [[ -s $RUN/dockerd.pid ]]; then
    pid=$(<"$RUN/dockerd.pid")
    kill "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  fi
  exit 0
fi

mkdir -p "$CACHE" "$RUN"
chmod 700 "$RUN"

install_engine() {
  command -v dockerd >/dev/null && return
  [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || give_up \
    'npm run test:compose needs a Docker engine and found none.' \
    'There is no dockerd on the PATH, and it is installed only as root with apt.' \
    'apt-get install -y docker.io iptables   # as root; or CDC_TEST_DOCKER_HOST=unix:///path/of/an/engine.sock'
  say 'installing docker.io…'
  {
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends docker.io iptables
  } >"$CACHE/apt.log" 2>&1 || give_up 'docker.io could not be installed.' "$(tail -3 "$CACHE/apt.log")" 'apt-get install -y docker.io iptables'
}

build_compose() {
  local plugin=$CACHE/config/cli-plugins/docker-compose work
  [[ -x $plugin && $("$plugin" version --short) == "$COMPOSE_VERSION" ]] && return
  command -v go >/dev/null || give_up \
    'Docker Compose has to be built, and Go was not found.' \
    'There is no go on the PATH.' \
    'Install Go 1.24 or newer, then run the same command again.'
  say "building Docker Compose $COMPOSE_VERSION (2 to 3 minutes, once)…"
  mkdir -p "$(dirname "$plugin")"
  work=$(mktemp -d)
  (
    cd "$work"
    go mod init tools
    go get -tool "github.com/docker/compose/v2/cmd@v$COMPOSE_VERSION"
    go build -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$COMPOSE_VERSION" \
      -o docker-compose github.com/docker/compose/v2/cmd
    mv docker-compose "$plugin"
  ) >"$CACHE/go.log" 2>&1 || give_up 'Docker Compose could not be built.' "$(tail -3 "$CACHE/go.log")" 'go env GOPROXY   # is it reachable? then run the same command again'
  rm -rf "$work"
}

answers() { docker -H "unix://$SOCKET" info >/dev/null 2>&1; }

# An engine of a run that was killed holds the data folder, also where its socket and pid file are gone from /tmp.
end_stale() {
  local command pid
  for command in /proc/[0-9]*/cmdline; do
    if tr '\0' ' ' 2>/dev/null <"$command" | grep -qE "dockerd --data-root $CACHE/data |containerd --config $RUN/"; then
      pid=${command//[!0-9]/}
      say "ending the engine of an earlier run (pid $pid)…"
      kill "$pid" 2>/dev/null || true
      for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
      done
      kill -9 "$pid" 2>/dev/null || true
    fi
  done
}

start_engine() {
  answers && return
  end_stale
  say 'starting dockerd…'
  rm -f "$RUN/dockerd.pid"
  setsid dockerd --data-root "$CACHE/data" --exec-root "$RUN/exec" -p "$RUN/dockerd.pid" \
    -H "unix://$SOCKET" >"$CACHE/dockerd.log" 2>&1 </dev/null &
  for _ in $(seq 300); do
    answers && return
    sleep 0.1
  done
  give_up 'dockerd did not start.' "$(tail -3 "$CACHE/dockerd.log")" "less $CACHE/dockerd.log"
}

if [[ ${1:-} == compose ]]; then
  build_compose
  exit
fi
if [[ -n ${CDC_TEST_DOCKER_HOST:-} ]]; then
  SOCKET=${CDC_TEST_DOCKER_HOST#unix://}
  answers || give_up "No Docker engine answers at $CDC_TEST_DOCKER_HOST." 'CDC_TEST_DOCKER_HOST names it.' 'unset CDC_TEST_DOCKER_HOST   # one is started then'
else
  install_engine
  start_engine
  # Whose run it is: another that is under way shares the engine.
  if [[ ! -s $RUN/owner ]] || ! kill -0 "$(<"$RUN/owner")" 2>/dev/null; then clean; fi
  echo "$PPID" >"$RUN/owner"
fi
echo "DOCKER_HOST=unix://$SOCKET"
echo "DOCKER_CONFIG=$CACHE/config"
