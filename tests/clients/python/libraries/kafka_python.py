"""kafka-python, 2.0.2 and 3. Their consumers are the same; what an admin client is called and answers is not."""

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.structs import OffsetAndMetadata

from stage import SOON, Place, Record

OLD = kafka.__version__.startswith("2.0.")


def offset_and_metadata(offset):
    return OffsetAndMetadata(offset, "") if OLD else OffsetAndMetadata(offset, "", -1)


def assignor(name):
    if name == "range":
        from kafka.coordinator.assignors.range import RangePartitionAssignor as found
    else:
        from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor as found
    return [found]


class Library:
    null_headers = True
    idempotent = not OLD
    # A commit to a partition that is not there is tried again until somebody makes it.
    commit_gives_up = False

    def __init__(self, bootstrap):
        self.common = {"bootstrap_servers": bootstrap.split(","), "client_id": "scenario"}

    def name_of(self, error):
        return type(error).__name__ if isinstance(error, kafka_errors.KafkaError) else f"{type(error).__name__}: {error}"

    def ask(self, call):
        """An admin client is no thread's but its own: each question has one."""
        admin = KafkaAdminClient(**self.common)
        try:
            return call(admin)
        finally:
            admin.close()

    def outcome(self, call):
        try:
            self.ask(call)
            return "none"
        except Exception as error:  # some of its errors are no KafkaError
            return self.name_of(error)

    def create_topic(self, name, partitions, replicas, configs):
        new = [NewTopic(name, partitions, replicas, topic_configs=configs)]
        return self.outcome(lambda admin: admin.create_topics(new))

    def create_partitions(self, name, count):
        return self.outcome(lambda admin: admin.create_partitions({name: NewPartitions(count)}))

    def delete_topic(self, name):
        return self.outcome(lambda admin: admin.delete_topics([name]))

    def topics(self):
        return set(self.ask(lambda admin: admin.list_topics()))

    def cluster(self, topics):
        told = self.ask(lambda admin: admin.describe_cluster())
        described = self.ask(lambda admin: admin.describe_topics(topics))
        name = lambda topic: topic.get("name", topic.get("topic"))
        index = lambda one: one.get("partition_index", one.get("partition"))
        leader = lambda one: one.get("leader_id", one.get("leader"))
        leaders = {name(topic): [leader(one) for one in sorted(topic["partitions"], key=index)] for topic in described}
        nodes = [{"id": one.get("node_id", one.get("broker_id")), "host": one["host"], "port": one["port"]}
                 for one in told["brokers"]]
        return {"id": told["cluster_id"], "controller": told["controller_id"], "nodes": nodes, "leaders": leaders}

    def configs(self, topic):
        resource = [ConfigResource(ConfigResourceType.TOPIC, topic)]
        try:
            if OLD:
                (answer,) = self.ask(lambda admin: admin.describe_configs(resource))
                (code, _, _, _, entries) = answer.resources[0]
                return {entry[0]: entry[1] for entry in entries} if code == 0 else kafka_errors.for_code(code).__name__
            found = self.ask(lambda admin: admin.describe_configs(resource))["topic"][topic]
            return {key: entry["value"] for key, entry in found.items()}
        except kafka_errors.KafkaError as error:
            return self.name_of(error)

    def groups(self):
        if OLD:
            return {name for name, _ in self.ask(lambda admin: admin.list_consumer_groups())}
        return {one["group_id"] for one in self.ask(lambda admin: admin.list_groups())}

    def group(self, name):
        if OLD:
            (found,) = self.ask(lambda admin: admin.describe_consumer_groups([name]))
            return {"state": found.state, "members": [one.client_id for one in found.members]}
        found = self.ask(lambda admin: admin.describe_groups([name]))[name]
        return {"state": found.get("group_state", found.get("state")), "members": [one["client_id"] for one in found["members"]]}

    def delete_group(self, name):
        try:
            if OLD:
                ((_, error),) = self.ask(lambda admin: admin.delete_consumer_groups([name]))
                return "none" if error is kafka_errors.NoError else error.__name__
            told = self.ask(lambda admin: admin.delete_groups([name]))[name]
            return "none" if told == "OK" else told
        except kafka_errors.KafkaError as error:
            return self.name_of(error)

    def writer(self, small_batches=False, acks="all", enable_idempotence=True, compression_type="none", **options):
        options["acks"] = acks if acks == "all" else int(acks)
        options["compression_type"] = None if compression_type == "none" else compression_type
        if small_batches:
            options["batch_size"] = 1000
        if not OLD:
            options["enable_idempotence"] = enable_idempotence and acks == "all"
        options.setdefault("retries", 10)
        # What is large is refused by the broker and not here.
        return Writer(self, KafkaProducer(**self.common, **options))

    def reader(self, group, partition_assignment_strategy="range", **options):
        given = {"group_id": group, "enable_auto_commit": False, "fetch_max_wait_ms": 100, "auto_offset_reset": "earliest",
                 "heartbeat_interval_ms": 300, "session_timeout_ms": 10_000,
                 "partition_assignment_strategy": assignor(partition_assignment_strategy)}
        return Reader(KafkaConsumer(**self.common, **{**given, **options}))


class Writer:
    def __init__(self, library, producer):
        self.library, self.producer = library, producer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.producer.close(SOON)

    def send(self, records):
        def one_sent(one):
            given = {"key": one.key, "partition": one.partition, "headers": one.headers or None}
            return self.producer.send(one.topic, one.value, timestamp_ms=one.timestamp, **given)

        waiting = []
        for one in records:
            try:
                waiting.append(one_sent(one))
            except Exception as error:  # also what its own limits refuse
                waiting.append(error)
        self.producer.flush(2 * SOON)
        return [self.outcome(one) for one in waiting]

    def outcome(self, sent):
        if isinstance(sent, Exception):
            return self.library.name_of(sent)
        try:
            return sent.get(2 * SOON).offset
        except kafka_errors.KafkaError as error:
            return self.library.name_of(error)


class Reader:
    def __init__(self, consumer):
        self.consumer = consumer

    def subscribe(self, topics):
        self.consumer.subscribe(topics)
        # kafka-python 3 stands still for ever where it comes to know partitions while it joins as the leader and its
        # poll() ends meanwhile: it has noted the assignment as made, and never takes it.
        for topic in topics:
            self.consumer.partitions_for_topic(topic)

    def assign(self, positions):
        """At these offsets; None: where the reset says."""
        self.consumer.assign([TopicPartition(*at) for at in positions])
        for at, offset in positions.items():
            if offset is not None:
                self.seek(at, offset)

    def find_positions(self, places):
        for at in places:
            self.consumer.position(TopicPartition(*at))

    def poll(self, seconds):
        found = self.consumer.poll(timeout_ms=int(seconds * 1000))
        return [self.record(one) for records in found.values() for one in records]

    def record(self, one):
        return Record(one.topic, one.partition, one.offset, one.key, one.value, [(key, value) for key, value in one.headers],
                      one.timestamp, one.timestamp_type)

    def assigned(self):
        return {Place(*one) for one in self.consumer.assignment()}

    def commit(self, offsets):
        if offsets is not None:
            offsets = {TopicPartition(*at): offset_and_metadata(to) for at, to in offsets.items()}
        self.consumer.commit(offsets)

    def committed(self, places):
        return {at: self.consumer.committed(TopicPartition(*at)) for at in places}

    def seek(self, place, offset):
        self.consumer.seek(TopicPartition(*place), offset)

    def pause(self, places):
        self.consumer.pause(*[TopicPartition(*at) for at in places])

    def resume(self, places):
        self.consumer.resume(*[TopicPartition(*at) for at in places])

    def ends(self, places):
        wanted = [TopicPartition(*at) for at in places]
        low, high = self.consumer.beginning_offsets(wanted), self.consumer.end_offsets(wanted)
        return {Place(*at): (low[at], high[at]) for at in wanted}

    def times(self, wanted):
        found = self.consumer.offsets_for_times({TopicPartition(*at): when for at, when in wanted.items()})
        return {Place(*at): one.offset if one else -1 for at, one in found.items()}

    def close(self):
        self.consumer.close()
