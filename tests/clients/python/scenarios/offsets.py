"""Scenarios about positions: by time, at the ends, by seeking, committed."""

import time

from stage import SOON, New, Place, offsets_and_values


def by_time(stage):
    # The records are old, and must not be deleted for it.
    stage.create(2, {"retention.ms": "-1"})
    with stage.library.writer() as writer:
        for at in [1000, 3000, 3000, 2000, 9000, 4000]:
            for place in stage.places(1):
                writer.send([New(*place, f"at {at}".encode(), timestamp=at)])
    reader = stage.lone_reader()
    stage.saw("ends", stage.aliased(reader.ends(stage.places(2)), list))
    for at in [0, 1000, 1500, 2500, 3000, 3001, 9000, 9001]:
        stage.saw(f"at {at}", stage.aliased(reader.times({place: at for place in stage.places(2)}), lambda one: one))
    found = reader.times({place: 3001 for place in stage.places(1)})
    reader.assign(found)
    stage.saw("read after 3001", stage.aliased(stage.poll(reader, 4), offsets_and_values))
    reader.close()


def reset(stage):
    stage.create(1)
    stage.fill("before", 1, 5)
    places = stage.places(1)

    def read(how, start, count):
        reader = stage.lone_reader(auto_offset_reset=how)
        reader.assign({at: start for at in places})
        seen = stage.aliased(stage.poll(reader, count), offsets_and_values)
        reader.close()
        return seen

    stage.saw("earliest", read("earliest", None, 10))
    stage.saw("at 3", read("earliest", 3, 4))
    stage.saw("earliest, out of range", read("earliest", 1000, 10))
    latest = stage.lone_reader(auto_offset_reset="latest")
    latest.assign({at: None for at in places})
    latest.find_positions(places)
    stage.fill("after", 1, 3)
    stage.saw("latest", stage.aliased(stage.poll(latest, 6), offsets_and_values))
    latest.close()
    none = stage.lone_reader(auto_offset_reset="none")
    none.assign({at: 1000 for at in places})
    stage.saw("none, out of range", first_error(stage, none))
    none.close()


def first_error(stage, reader):
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        error = stage.error_of(lambda: reader.poll(0.1))
        if error != "none":
            return error
    return "no error"


def seek(stage):
    stage.create(1)
    stage.fill("v", 1, 10)
    one, two = stage.places(1)
    reader = stage.lone_reader()
    saw = lambda what, count: stage.saw(what, stage.aliased(stage.poll(reader, count), offsets_and_values))
    reader.assign({one: 0, two: 0})
    reader.pause([two])
    saw("two paused", 10)
    reader.resume([two])
    saw("two resumed", 10)
    reader.seek(one, 7)
    saw("one back to 7", 3)
    reader.seek(one, 3)
    reader.seek(two, 8)
    saw("both back", 9)
    stage.fill("more", 1, 2)
    saw("after the end", 4)
    reader.close()


def commit(stage):
    stage.create(2)
    stage.fill("v", 2, 10)
    for number, group in enumerate(stage.groups, 1):
        stage.saw(f"group {number}", commit_as(stage, group))


def commit_as(stage, group):
    seen = {}

    def committed():
        other = stage.library.reader(group=group)
        found = stage.aliased(other.committed(stage.places(2)), lambda one: one)
        other.close()
        return found

    def member(count, what, commit):
        reader = stage.library.reader(group=group, auto_offset_reset="earliest")
        reader.subscribe(stage.topics)
        seen[what] = stage.aliased(stage.poll(reader, count), offsets_and_values)
        seen[f"{what}, commit"] = stage.error_of(lambda: reader.commit(commit))
        reader.close()
        seen[f"{what}, committed"] = committed()

    member(40, "first", {at: 5 + at.partition for at in stage.places(2)})
    member(18, "resumed", None)
    # A group without members may be written by anybody.
    alone = stage.library.reader(group=group)
    alone.assign({at: 0 for at in stage.places(1)})
    seen["by hand"] = stage.error_of(lambda: alone.commit({at: 3 for at in stage.places(1)}))
    if stage.library.commit_gives_up:
        seen["to a missing partition"] = stage.error_of(lambda: alone.commit({Place(stage.topics[1], 9): 1}))
    alone.close()
    seen["by hand, committed"] = committed()
    member(14, "after that", None)
    return seen
