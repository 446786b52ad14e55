#!/usr/bin/env bash
# As the official image: BOOTSTRAP_SERVERS, GROUP_ID, …_STORAGE_TOPIC, CONNECT_… for any setting of the
# worker, HEAP_OPTS, KAFKA_OPTS.
set -euo pipefail

[[ ${1:-} == start ]] || exec "$@"
export CONNECT_BOOTSTRAP_SERVERS=${BOOTSTRAP_SERVERS:-0.0.0.0:9092} CONNECT_GROUP_ID=${GROUP_ID:-1} \
  CONNECT_CONFIG_STORAGE_TOPIC=$CONFIG_STORAGE_TOPIC CONNECT_OFFSET_STORAGE_TOPIC=$OFFSET_STORAGE_TOPIC \
  CONNECT_STATUS_STORAGE_TOPIC=$STATUS_STORAGE_TOPIC CONNECT_REST_ADVERTISED_HOST_NAME=${ADVERTISED_HOST_NAME:-$(hostname -i)} \
  CONNECT_OFFSET_FLUSH_INTERVAL_MS=${OFFSET_FLUSH_INTERVAL_MS:-60000} \
  CONNECT_KEY_CONVERTER=${KEY_CONVERTER:-org.apache.kafka.connect.json.JsonConverter} \
  CONNECT_VALUE_CONVERTER=${VALUE_CONVERTER:-org.apache.kafka.connect.json.JsonConverter}
cp -rn /kafka/config.orig/. /kafka/config/
properties=/kafka/config/connect-distributed.properties
: >"$properties"
env | while read -r line; do
  [[ $line == CONNECT_*=* ]] || continue
  name=${line%%=*}
  key=$(tr 'A-Z_' 'a-z.' <<<"${name#CONNECT_}")
  echo "$key=${line#*=}" >>"$properties"
  echo "--- Setting property from $name: $key=${line#*=}"
done
exec java ${HEAP_OPTS:--Xmx2G} ${KAFKA_OPTS:-} -XX:+UseSerialGC -Dlog4j2.configurationFile=/kafka/config/log4j2.yaml \
  -cp '/kafka/libs/*' org.apache.kafka.connect.cli.ConnectDistributed "$properties"
