#!/usr/bin/env bash
# As the official image: POSTGRES_PASSWORD_FILE, POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS,
# POSTGRES_HOST_AUTH_METHOD, PGDATA, /docker-entrypoint-initdb.d.
set -Eeo pipefail

from_file() {
  local file_variable="${1}_FILE"
  [[ -z ${!file_variable:-} ]] || printf -v "$1" %s "$(<"${!file_variable}")"
  [[ -n ${!1:-} ]] || printf -v "$1" %s "${2:-}"
}

if [[ ${1:-} == postgres && ! -s $PGDATA/PG_VERSION ]]; then
  from_file POSTGRES_PASSWORD
  from_file POSTGRES_USER postgres
  from_file POSTGRES_DB "$POSTGRES_USER"
  [[ -n $POSTGRES_PASSWORD ]] || { echo 'Error: Database is uninitialized and superuser password is not specified.' >&2; exit 1; }
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  eval "initdb -D \"\$PGDATA\" --username=\"\$POSTGRES_USER\" --pwfile=<(printf '%s\n' \"\$POSTGRES_PASSWORD\") ${POSTGRES_INITDB_ARGS:-}"
  printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
  pg_ctl -D "$PGDATA" -w start -o "$(printf '%q ' "${@:2}" -c listen_addresses= -c unix_socket_directories=/run/postgresql)"
  export PGPASSWORD=$POSTGRES_PASSWORD PGHOST=/run/postgresql
  [[ $POSTGRES_DB == postgres ]] || psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -c "CREATE DATABASE \"$POSTGRES_DB\""
  for file in /docker-entrypoint-initdb.d/*.sql; do
    [[ ! -e $file ]] || psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -f "$file"
  done
  unset PGPASSWORD PGHOST
  pg_ctl -D "$PGDATA" -m fast -w stop
fi
# The image's postgresql.conf.sample listens everywhere; sockets are in /run/postgresql.
exec "$@" -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/run/postgresql
