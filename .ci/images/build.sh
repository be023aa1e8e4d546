#!/usr/bin/env bash
# Stand-ins for the upstream images of docker-compose.yml and compose/Dockerfile, under their exact names, for an engine
# that can reach no image registry: .ci/images/build.sh [FOLDER OF KAFKA'S JARS]     (.ci/README.md says what they are not)
#
# Wants debian:bookworm-slim, python:3.11-slim-bookworm and eclipse-temurin:17-jre in the engine, Go, and `make setup`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
ROOT=$(cd ../.. && pwd)
JARS=${1:-$ROOT/var/jars/kafka}
VERSITYGW_VERSION=v1.8.0
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

say() { echo "images: $*" >&2; }
has() { docker image inspect "$1" >/dev/null 2>&1; }

# build TAG FOLDER; what $WORK/FOLDER holds goes along.
build() {
  if has "$1"; then return; fi
  say "$1"
  mkdir -p "$WORK/$2"
  cp -R "$2/." "$WORK/$2/"
  DOCKER_BUILDKIT=0 docker build --quiet --network host --tag "$1" "$WORK/$2" >&2
}

has python:3.11.14-slim-bookworm || docker tag python:3.11-slim-bookworm python:3.11.14-slim-bookworm
build eclipse-temurin:17.0.15_6-jre-jammy temurin
build eclipse-mosquitto:2.0.22 mosquitto
build prom/prometheus:v3.5.0 prometheus

if ! has apache/kafka:4.3.1; then
  [ -f "$JARS/kafka_2.13-4.3.1.jar" ] || { say "no Kafka 4.3.1 in $JARS; first: make setup"; exit 1; }
  mkdir -p "$WORK/kafka" && cp -R "$JARS" "$WORK/kafka/libs"
  build apache/kafka:4.3.1 kafka
fi

if ! has confluentinc/cp-kafka:7.9.6; then
  mkdir -p "$WORK/confluent"
  cp "$ROOT"/.venv/lib/python3*/site-packages/pyspark/jars/ivy-*.jar "$WORK/confluent/ivy.jar"
  build confluentinc/cp-kafka:7.9.6 confluent
fi
# One image has both programs; which of them runs, the command says.
has confluentinc/cp-zookeeper:7.9.6 || DOCKER_BUILDKIT=0 docker build --quiet --tag confluentinc/cp-zookeeper:7.9.6 - >&2 <<'DOCKERFILE'
FROM confluentinc/cp-kafka:7.9.6
CMD ["zookeeper-from-environment"]
DOCKERFILE

if ! has "versity/versitygw:$VERSITYGW_VERSION"; then
  say "building versitygw $VERSITYGW_VERSION from its Go module (some minutes, once)"
  mkdir -p "$WORK/versitygw"
  CGO_ENABLED=0 GOBIN="$WORK/versitygw" go install -trimpath -ldflags "-s -w" \
    "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW_VERSION" >&2
  build "versity/versitygw:$VERSITYGW_VERSION" versitygw
fi
