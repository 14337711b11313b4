"""aiokafka: everything runs on one event loop, on a thread of its own."""

import asyncio
import threading

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stage import SOON, Place, Record

ENOUGH = 3 * SOON


class Library:
    null_headers = True
    idempotent = True
    commit_gives_up = True

    def __init__(self, bootstrap):
        self.common = {"bootstrap_servers": bootstrap.split(","), "client_id": "scenario"}
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(ENOUGH)

    def name_of(self, error):
        return type(error).__name__ if isinstance(error, kafka_errors.KafkaError) else f"{type(error).__name__}: {error}"

    def ask(self, call):
        async def asked():
            admin = AIOKafkaAdminClient(**self.common)
            await admin.start()
            try:
                return await call(admin)
            finally:
                await admin.close()

        return self.wait(asked())

    def outcome(self, call):
        """Its answers are as they travel: a list of (name, code, ...)."""
        answer = self.ask(call)
        lists = [value for value in vars(answer).values() if isinstance(value, list)]
        return self.code_name(lists[0][0][1])

    def code_name(self, code):
        return "none" if code == 0 else kafka_errors.for_code(code).__name__

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
        index = lambda one: one["partition"]
        leaders = {one["topic"]: [part["leader"] for part in sorted(one["partitions"], key=index)] for one in described}
        nodes = [{"id": one["node_id"], "host": one["host"], "port": one["port"]} for one in told["brokers"]]
        return {"id": told["cluster_id"], "controller": told["controller_id"], "nodes": nodes, "leaders": leaders}

    def configs(self, topic):
        resource = [ConfigResource(ConfigResourceType.TOPIC, topic)]
        (answer,) = self.ask(lambda admin: admin.describe_configs(resource))
        (code, _, _, _, entries) = answer.resources[0]
        return {entry[0]: entry[1] for entry in entries} if code == 0 else self.code_name(code)

    def groups(self):
        return {one[0] for one in self.ask(lambda admin: admin.list_consumer_groups())}

    def group(self, name):
        (answer,) = self.ask(lambda admin: admin.describe_consumer_groups([name]))
        (_, _, state, _, _, members, *_) = answer.groups[0]
        return {"state": state, "members": [one[1] if isinstance(one[1], str) else one[2] for one in members]}

    def delete_group(self, name):
        return "it has no such call"

    def writer(self, small_batches=False, acks="all", enable_idempotence=True, compression_type="none", **options):
        options["acks"] = acks if acks == "all" else int(acks)
        options["compression_type"] = None if compression_type == "none" else compression_type
        options["enable_idempotence"] = enable_idempotence and acks == "all"
        if small_batches:
            options["max_batch_size"] = 1000
        return Writer(self, options)

    def reader(self, group, partition_assignment_strategy="range", **options):
        from aiokafka.coordinator.assignors.range import RangePartitionAssignor

        given = {"group_id": group, "enable_auto_commit": False, "fetch_max_wait_ms": 100, "auto_offset_reset": "earliest",
                 "heartbeat_interval_ms": 300, "session_timeout_ms": 10_000,
                 "partition_assignment_strategy": [RangePartitionAssignor]}
        return Reader(self, {**given, **options})


class Writer:
    def __init__(self, library, options):
        self.library = library

        async def started():
            producer = AIOKafkaProducer(**library.common, **options)
            await producer.start()
            return producer

        self.producer = library.wait(started())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.wait(self.producer.stop())

    def send(self, records):
        async def one_sent(one):
            given = {"key": one.key, "partition": one.partition, "headers": one.headers or None}
            try:
                return await self.producer.send(one.topic, one.value, timestamp_ms=one.timestamp, **given)
            except Exception as error:  # also what its own limits refuse
                return error

        async def outcome(sent):
            if isinstance(sent, Exception):
                return self.library.name_of(sent)
            try:
                told = await sent
                return told.offset if told else None
            except kafka_errors.KafkaError as error:
                return self.library.name_of(error)

        async def outcomes(waiting):
            return [await outcome(one) for one in waiting]

        # One after another, because what is sent may be paced.
        waiting = [self.library.wait(one_sent(one)) for one in records]
        return self.library.wait(outcomes(waiting))


class Reader:
    def __init__(self, library, options):
        self.library = library

        async def started():
            consumer = AIOKafkaConsumer(**library.common, **options)
            await consumer.start()
            return consumer

        self.consumer = library.wait(started())

    def on_loop(self, call):
        async def called():
            return call()

        return self.library.wait(called())

    def subscribe(self, topics):
        self.on_loop(lambda: self.consumer.subscribe(topics))

    def assign(self, positions):
        """At these offsets; None: where the reset says."""
        self.on_loop(lambda: self.consumer.assign([TopicPartition(*at) for at in positions]))
        for at, offset in positions.items():
            if offset is not None:
                self.seek(at, offset)

    def find_positions(self, places):
        for at in places:
            self.library.wait(self.consumer.position(TopicPartition(*at)))

    def poll(self, seconds):
        found = self.library.wait(self.consumer.getmany(timeout_ms=int(seconds * 1000)))
        return [self.record(one) for records in found.values() for one in records]

    def record(self, one):
        return Record(one.topic, one.partition, one.offset, one.key, one.value, [(key, value) for key, value in one.headers],
                      one.timestamp, one.timestamp_type)

    def assigned(self):
        return {Place(*one) for one in self.on_loop(self.consumer.assignment)}

    def commit(self, offsets):
        if offsets is not None:
            offsets = {TopicPartition(*at): to for at, to in offsets.items()}
        self.library.wait(self.consumer.commit(offsets))

    def committed(self, places):
        return {at: self.library.wait(self.consumer.committed(TopicPartition(*at))) for at in places}

    def seek(self, place, offset):
        self.on_loop(lambda: self.consumer.seek(TopicPartition(*place), offset))

    def pause(self, places):
        self.on_loop(lambda: self.consumer.pause(*[TopicPartition(*at) for at in places]))

    def resume(self, places):
        self.on_loop(lambda: self.consumer.resume(*[TopicPartition(*at) for at in places]))

    def ends(self, places):
        wanted = [TopicPartition(*at) for at in places]
        low = self.library.wait(self.consumer.beginning_offsets(wanted))
        high = self.library.wait(self.consumer.end_offsets(wanted))
        return {Place(*at): (low[at], high[at]) for at in wanted}

    def times(self, wanted):
        found = self.consumer.offsets_for_times({TopicPartition(*at): when for at, when in wanted.items()})
        return {Place(*at): one.offset if one else -1 for at, one in self.library.wait(found).items()}

    def close(self):
        self.library.wait(self.consumer.stop())
