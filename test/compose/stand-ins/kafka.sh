#!/usr/bin/env bash
# As the official image: the same wrapper of Kafka's makes server.properties of /mnt/shared/config and of
# the variables KAFKA_…, and formats the storage. KAFKA_OPTS, KAFKA_HEAP_OPTS.
set -euo pipefail

export CLUSTER_ID=${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}
[[ -w /opt/kafka/config/ ]] || { echo '/opt/kafka/config/ file not writable'; exit 1; }
said=$(java ${KAFKA_OPTS:-} -Xmx128m -cp '/opt/kafka/libs/*' kafka.docker.KafkaDockerWrapper setup \
  --default-configs-dir /etc/kafka/docker --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) ||
  grep -i 'already formatted' <<<"$said" || { echo "$said"; exit 1; }
exec java ${KAFKA_HEAP_OPTS:--Xmx1G} ${KAFKA_OPTS:-} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml -cp '/opt/kafka/libs/*' kafka.Kafka /opt/kafka/config/server.properties
