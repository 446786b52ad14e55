#!/usr/bin/env bash
# As the official image: config.d and users.d below /etc/clickhouse-server, CLICKHOUSE_SKIP_USER_SETUP.
# Without it the entry point writes a user's file, as the official one does.
set -euo pipefail

[[ ${CLICKHOUSE_SKIP_USER_SETUP:-0} == 1 ]] || echo '<clickhouse/>' >/etc/clickhouse-server/users.d/default-user.xml
exec node /opt/clickhouse/clickhouse-host.mjs /opt/clickhouse/libchdb.so --path /var/lib/clickhouse \
  --http_port=8123 --tcp_port=9000 --listen_host=0.0.0.0 --config-file=/etc/clickhouse-server/config.xml --log-level=information
