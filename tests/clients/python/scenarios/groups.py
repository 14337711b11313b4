"""Scenarios about consumer groups: who reads what when members come and go, also when every connection is cut."""

import os
import threading
import time

from stage import New, Place, text

PARTITIONS = 4
ALL = 2 * PARTITIONS
ROUND = 5 * ALL


class Member:
    """A consumer on a thread of its own that counts what it reads, commits it, and knows what it is assigned."""

    def __init__(self, stage, group, reads, **more):
        self.has = set()
        self.settled = True
        self.stage, self.reads = stage, reads
        self.more = dict(more, group=group, auto_offset_reset="earliest")
        self.stopping = False
        self.failed = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        reader = self.stage.library.reader(**self.more)
        try:
            reader.subscribe(self.stage.topics)
            while not self.stopping:
                records = reader.poll(0.05)
                self.settled = self.settled and not records
                for record in records:
                    at = self.stage.alias((record.topic, record.partition))
                    self.reads.add(f"{at}@{record.offset}={text(record.value)}")
                self.has = reader.assigned()
                if not self.settled:
                    # While a rebalance is under way nothing can be committed: then after it.
                    self.settled = self.stage.error_of(lambda: reader.commit(None)) == "none"
        except Exception as error:
            self.failed = f"{type(error).__name__}: {error}"
            raise
        finally:
            reader.close()

    def leave(self):
        self.stopping = True
        self.thread.join(20)

    def aliases(self):
        return sorted(self.stage.alias(at) for at in self.has)


class Reads:
    """How often each record was read, by all members of a group."""

    def __init__(self):
        self.times = {}
        self.lock = threading.Lock()

    def add(self, what):
        with self.lock:
            self.times[what] = self.times.get(what, 0) + 1


def range_rebalance(stage):
    two_members(stage, "range", lambda one, two: sorted([one.aliases(), two.aliases()]))


def cooperative_rebalance(stage):
    # Who has which partition is not known of a sticky assignment; only that each has its half.
    two_members(stage, "cooperative-sticky", lambda one, two: sorted(one.aliases() + two.aliases()))


def two_members(stage, assignor, shares):
    stage.create(PARTITIONS)
    for number, group in enumerate(stage.groups):
        stage.saw(f"group {number + 1}", two_members_of(stage, group, assignor, number * 3 * ROUND, shares))


def two_members_of(stage, group, assignor, before, shares):
    """One member, then two, then the other one alone, with records coming all the time."""
    seen, reads = {}, Reads()
    join = lambda: Member(stage, group, reads, partition_assignment_strategy=assignor)

    def round(number, *members):
        stage.fill(f"round-{number}", PARTITIONS, 5)
        read = lambda: len(reads.times) == before + (number + 1) * ROUND
        stage.until(f"all is read in round {number}", lambda: read() and all(one.settled for one in members))

    first = join()
    stage.until("the first has all", lambda: len(first.has) == ALL)
    seen["alone"] = first.aliases()
    round(0, first)
    second = join()
    stage.until("both have half", lambda: len(first.has) == len(second.has) == PARTITIONS)
    seen["two"] = shares(first, second)
    round(1, first, second)
    first.leave()
    stage.until("the second has all", lambda: len(second.has) == ALL)
    seen["the other alone"] = second.aliases()
    round(2, second)
    second.leave()
    reader = stage.library.reader(group=group)
    seen["committed"] = stage.aliased(reader.committed(stage.places(PARTITIONS)), lambda one: one)
    reader.close()
    seen["records read"] = len(reads.times)
    seen["read more than once"] = sum(times > 1 for times in reads.times.values())
    return seen


def static_members(stage):
    """Static members keep their partitions over a restart that is short enough."""
    stage.create(PARTITIONS)
    for number, group in enumerate(stage.groups, 1):
        reads = Reads()
        join = lambda name: Member(stage, group, reads, group_instance_id=name, session_timeout_ms=30_000,
                                   partition_assignment_strategy="range")
        one, two = join("one"), join("two")
        stage.until("both have half", lambda: len(one.has) == len(two.has) == PARTITIONS)
        seen = {"one": one.aliases(), "two": two.aliases()}
        two.leave()
        again = join("two")
        stage.until("two is back", lambda: len(one.has) == len(again.has) == PARTITIONS)
        seen["two, again"] = again.aliases()
        again.leave()
        one.leave()
        stage.saw(f"group {number}", seen)


def admin(stage):
    stage.create(2)
    stage.fill("v", 2, 2)
    library = stage.library
    for number, group in enumerate(stage.groups, 1):
        seen, reads = {}, Reads()
        member = Member(stage, group, reads, partition_assignment_strategy="range")
        stage.until("it has read all", lambda: len(reads.times) == 8 and member.settled)
        seen["listed"] = group in library.groups()
        seen["described"] = library.group(group)
        seen["delete with a member"] = library.delete_group(group)
        member.leave()
        stage.until("the group is empty", lambda: library.group(group)["state"] == "Empty")
        seen["described, empty"] = library.group(group)
        seen["delete"] = library.delete_group(group)
        seen["listed, deleted"] = group in library.groups()
        seen["delete again"] = library.delete_group(group)
        stage.saw(f"group {number}", seen)
    none = f"{stage.groups[0]}-none"
    stage.saw("delete unknown", library.delete_group(none))


def cut(stage):
    """A producer and a group at work while all connections are cut, once."""
    stage.create(2)
    reads = Reads()
    member = Member(stage, stage.groups[1], reads, partition_assignment_strategy="range")
    stage.until("the member has all", lambda: len(member.has) == 4)
    outcomes = []
    with stage.library.writer(linger_ms=2, acks="all") as writer:
        for part in range(2):
            outcomes += writer.send(paced(New(*at, f"{part}-{i}".encode()) for i in range(20) for at in stage.places(2)))
            if part == 0:
                stage.until("the first half is read", lambda: len(reads.times) >= 80)
                sending = threading.Timer(0.2, lambda: have_it_cut(stage.cut_file))
                sending.start()
        sending.join()
    stage.saw("not acknowledged", [one for one in outcomes if not isinstance(one, int)])
    found = stage.read_all(stage.places(2))
    values = {at: [text(record.value) for record in found.get(at, [])] for at in stage.places(2)}
    wanted = [f"{part}-{i}" for part in range(2) for i in range(20)]
    stage.saw("lost", [f"{stage.alias(at)} {one}" for at in values for one in wanted if one not in values[at]])
    if stage.library.idempotent:
        stage.saw("doubled or out of order", [stage.alias(at) for at in values if values[at] != wanted])
    stage.until("all is read by the group", lambda: {name.split("=")[1] for name in reads.times} == set(wanted)
                and len({name.split("@")[0] + name.split("=")[1] for name in reads.times}) == 160)
    stage.saw("read by the group", True)
    stage.saw("assigned", member.aliases())
    member.leave()
    stage.saw("the member failed", member.failed)


def paced(records):
    for record in records:
        yield record
        time.sleep(0.01)


def have_it_cut(file):
    """The trial cuts when it sees the file, and takes it away when it has."""
    if file is None:
        return
    open(file, "w").close()
    while os.path.exists(file):
        time.sleep(0.01)
