"""What one scenario is given: where Kafka is, its own topics and groups, clients, and the place for what it saw."""

import time
from collections import namedtuple

DEADLINE = 100
SOON = 30

Place = namedtuple("Place", "topic partition")
Record = namedtuple("Record", "topic partition offset key value headers timestamp timestamp_type")
# What is to be sent; all but the first three may be left out.
New = namedtuple("New", "topic partition value key headers timestamp", defaults=(None, None, None))


class Stage:
    """`library` is one of `libraries`; see `libraries/__init__.py` for what each can do."""

    def __init__(self, library, scenario, options):
        self.library = library
        self.scenario = scenario
        # Through Fishplate they live on two clusters.
        self.topics = [f"{name}.{scenario}" for name in options["topics"].split(",")]
        self.groups = [f"{name}.{scenario}" for name in options["groups"].split(",")]
        self.cut_file = options.get("cut")
        self.result = {}
        self.raw = {}

    def saw(self, what, value):
        self.result[what] = value

    def create(self, partitions, configs=None):
        """Creates both topics and waits until the leaders lead: sooner, Kafka itself refuses a producer's first batch."""
        for topic in self.topics:
            answer = self.library.create_topic(topic, partitions, 1, configs or {})
            assert answer == "none", f"create {topic}: {answer}"
        self.wait_for_leaders(self.places(partitions))

    def wait_for_leaders(self, places):
        self.until_ends("topics have leaders", places, lambda ends: len(ends) == len(places))

    def until_ends(self, what, places, so):
        """Waits until something is so of the first and last offsets of partitions."""
        why = [None]

        # A new reader each time: librdkafka remembers for long that a topic was not there.
        def look():
            reader = self.lone_reader()
            try:
                return so(reader.ends(places))
            except Exception as error:  # each library has its own for "not yet"
                why[0] = self.library.name_of(error)
                return False
            finally:
                reader.close()

        self.until(lambda: f"{what}: {why[0]}", look)

    def places(self, partitions):
        return [Place(topic, partition) for topic in self.topics for partition in range(partitions)]

    def lone_reader(self, **more):
        """A reader whose group nobody looks at."""
        return self.library.reader(group=None, **more)

    def fill(self, prefix, partitions, count):
        """Sends `count` records to each partition, record i with the value `prefix-i`."""
        with self.library.writer(linger_ms=5) as writer:
            sent = writer.send(New(*at, f"{prefix}-{i}".encode()) for i in range(count) for at in self.places(partitions))
        wrong = [outcome for outcome in sent if not isinstance(outcome, int)]
        assert not wrong, f"not all was acknowledged: {wrong[:3]}"

    def read_all(self, places):
        """Everything in these partitions from their beginning to their present end."""
        reader = self.lone_reader()
        ends = reader.ends(places)
        reader.assign({at: 0 for at in places})
        seen = self.poll(reader, sum(high for _, high in ends.values()))
        reader.close()
        return seen

    def poll(self, reader, count):
        """Polls until `count` records came."""
        seen, got, end = {}, 0, time.monotonic() + SOON
        while got < count:
            assert time.monotonic() < end, f"only {got} of {count} records within {SOON} s"
            for record in reader.poll(0.1):
                got += 1
                seen.setdefault(Place(record.topic, record.partition), []).append(record)
        return seen

    def alias(self, place):
        """`one/0` for partition 0 of the first topic: the same name whatever the topic is called in this run."""
        return f"{self.topic_alias(place[0])}/{place[1]}"

    def topic_alias(self, topic):
        return ["one", "two"][self.topics.index(topic)] if topic in self.topics else topic

    def aliased(self, by_place, shown):
        return {self.alias(at): shown(by_place[at]) for at in sorted(by_place)}

    def error_of(self, call):
        """The name of what a call failed with, `none` where it did not."""
        try:
            call()
            return "none"
        except Exception as error:  # each library has its own
            return self.library.name_of(error)

    def until(self, what, so):
        end = time.monotonic() + SOON
        while not so():
            assert time.monotonic() < end, f"not within {SOON} s: {what() if callable(what) else what}"
            time.sleep(0.03)


def offsets_and_values(records):
    return [f"{record.offset}={text(record.value)}" for record in records]


def text(value):
    return None if value is None else value.decode("utf-8", "backslashreplace")
