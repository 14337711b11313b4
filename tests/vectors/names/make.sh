#!/bin/sh
# Makes pairs.txt anew: names as Java prints them, and principals as Kafka makes them. Needs Java 17 or later, and Kafka's
# libraries, which scripts/test has downloaded.
set -eu
cd "$(dirname "$0")"
kafka="${FISHPLATE_CACHE:-../../../.cache}/kafka-4.3"
java -version 2>&1 | head -1 | sed 's/^/# /' > pairs.txt
java -cp "$kafka/lib/*" Names.java >> pairs.txt
