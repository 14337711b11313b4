"""confluent-kafka, whose wheels carry librdkafka."""

import time

from confluent_kafka import (OFFSET_INVALID, TIMESTAMP_CREATE_TIME, Consumer,
                             KafkaError, KafkaException, Producer, TopicPartition)
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from stage import SOON, Place, Record

# Kafka's own names that librdkafka spells otherwise.
NAMES = {"max_request_size": "message.max.bytes"}


def config(bootstrap, options):
    given = {"bootstrap.servers": bootstrap, "debug": "broker,metadata,cgrp,topic", "client.id": "scenario"}
    for key, value in options.items():
        given[NAMES.get(key, key.replace("_", "."))] = value
    return given


class Library:
    null_headers = True
    idempotent = True
    commit_gives_up = True

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = AdminClient(config(bootstrap, {}))

    def name_of(self, error):
        inner = error.args[0] if isinstance(error, KafkaException) else error
        return inner.name() if isinstance(inner, KafkaError) else f"{type(error).__name__}: {error}"

    def outcome(self, futures):
        (future,) = futures.values()
        try:
            future.result(SOON)
            return "none"
        except KafkaException as error:
            return self.name_of(error)

    def create_topic(self, name, partitions, replicas, configs):
        return self.outcome(self.admin.create_topics([NewTopic(name, partitions, replicas, config=configs)]))

    def create_partitions(self, name, count):
        return self.outcome(self.admin.create_partitions([NewPartitions(name, count)]))

    def delete_topic(self, name):
        return self.outcome(self.admin.delete_topics([name]))

    def topics(self):
        return set(self.admin.list_topics(timeout=SOON).topics)

    def cluster(self, topics):
        seen = self.admin.list_topics(timeout=SOON)
        nodes = [{"id": one.id, "host": one.host, "port": one.port} for one in seen.brokers.values()]
        leaders = {name: [one.leader for one in seen.topics[name].partitions.values()] for name in topics}
        return {"id": seen.cluster_id, "controller": seen.controller_id, "nodes": nodes, "leaders": leaders}

    def configs(self, topic):
        (future,) = self.admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
        try:
            return {entry.name: entry.value for entry in future.result(SOON).values()}
        except KafkaException as error:
            return self.name_of(error)

    def groups(self):
        return {one.group_id for one in self.admin.list_consumer_groups().result(SOON).valid}

    def group(self, name):
        found = self.admin.describe_consumer_groups([name])[name].result(SOON)
        return {"state": found.state.name.capitalize(), "members": [one.client_id for one in found.members]}

    def delete_group(self, name):
        return self.outcome(self.admin.delete_consumer_groups([name]))

    def writer(self, small_batches=False, **options):
        if small_batches:
            options["batch.num.messages"] = 20
        return Writer(self, Producer(config(self.bootstrap, options)))

    def reader(self, group, **options):
        if options.get("auto_offset_reset") == "none":
            options["auto_offset_reset"] = "error"
        given = {"group_id": group or "ga-lone", "enable_auto_commit": False, "fetch_wait_max_ms": 100,
                 "auto_offset_reset": "earliest", "heartbeat_interval_ms": 300, "session_timeout_ms": 10_000}
        return Reader(Consumer(config(self.bootstrap, {**given, **options})))


class Writer:
    def __init__(self, library, producer):
        self.library, self.producer = library, producer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.producer.flush(SOON)

    def send(self, records):
        outcomes = {}

        def told(number):
            def keep(error, message):
                outcomes[number] = self.library.name_of(error) if error else message.offset()
            return keep

        count = 0
        for number, one in enumerate(records):
            count += 1
            given = {"partition": one.partition, "key": one.key, "headers": one.headers or None}
            if one.timestamp is not None:
                given["timestamp"] = one.timestamp
            try:
                self.producer.produce(one.topic, one.value, on_delivery=told(number), **given)
            except KafkaException as error:
                outcomes[number] = self.library.name_of(error)
            self.producer.poll(0)
        self.producer.flush(2 * SOON)
        return [outcomes.get(number, "unknown") for number in range(count)]


class Reader:
    def __init__(self, consumer):
        self.consumer = consumer

    def subscribe(self, topics):
        self.consumer.subscribe(topics)

    def assign(self, positions):
        """At these offsets; None: where the reset says."""
        where = lambda offset: OFFSET_INVALID if offset is None else offset
        self.consumer.assign([TopicPartition(*at, where(offset)) for at, offset in positions.items()])

    def find_positions(self, places):
        """Until the log's ends are known: one who has polled the end's high watermark has been there."""
        end = time.monotonic() + SOON
        known = lambda at: self.consumer.get_watermark_offsets(TopicPartition(*at), cached=True)[1] >= 0
        while not all(known(at) for at in places):
            assert not self.poll(0.05) and time.monotonic() < end

    def poll(self, seconds):
        records = []
        for message in self.consumer.consume(500, seconds):
            if message.error():
                if message.error().code() == KafkaError._PARTITION_EOF:
                    continue
                raise KafkaException(message.error())
            kind, timestamp = message.timestamp()
            records.append(Record(message.topic(), message.partition(), message.offset(), message.key(), message.value(),
                                  message.headers() or [], timestamp, int(kind != TIMESTAMP_CREATE_TIME)))
        return records

    def assigned(self):
        return {Place(one.topic, one.partition) for one in self.consumer.assignment()}

    def commit(self, offsets):
        if offsets is None:
            done = self.consumer.commit(asynchronous=False)
        else:
            done = self.consumer.commit(offsets=[TopicPartition(*at, to) for at, to in offsets.items()], asynchronous=False)
        for one in done or []:
            if one.error:
                raise KafkaException(one.error)

    def committed(self, places):
        found = self.consumer.committed([TopicPartition(*at) for at in places], SOON)
        return {Place(one.topic, one.partition): one.offset if one.offset >= 0 else None for one in found}

    def seek(self, place, offset):
        self.consumer.seek(TopicPartition(*place, offset))

    def pause(self, places):
        self.consumer.pause([TopicPartition(*at) for at in places])

    def resume(self, places):
        self.consumer.resume([TopicPartition(*at) for at in places])

    def ends(self, places):
        return {at: self.consumer.get_watermark_offsets(TopicPartition(*at), 3) for at in places}

    def times(self, wanted):
        found = self.consumer.offsets_for_times([TopicPartition(*at, when) for at, when in wanted.items()], SOON)
        return {Place(one.topic, one.partition): one.offset for one in found}

    def close(self):
        self.consumer.close()
