"""The scenarios for Python's clients: `main.py LIBRARY SCENARIO... --bootstrap HOST:PORT --topics T1,T2 --groups G1,G2
--log FILE [--cut FILE] [--parallel N]`, with LIBRARY one of the files in `libraries`.

Each scenario makes topics named after T1 and T2, and prints one line of JSON: what an application saw (`result`, in which
nothing varies from run to run) and what only a test of addresses wants (`raw`). The exit code is 1 when a scenario could
not be played to its end; an error that Kafka answers is a result.
"""

import importlib
import json
import logging
import os
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from scenarios import groups, offsets, records, topics
from stage import DEADLINE, Stage

SCENES = {
    "codecs": records.codecs,
    "headers": records.headers,
    "acks": records.acks,
    "idempotent": records.idempotent,
    "large": records.large,
    "many-partitions": records.many_partitions,
    "offsets": offsets.by_time,
    "reset": offsets.reset,
    "seek": offsets.seek,
    "commit": offsets.commit,
    "rebalance": groups.range_rebalance,
    "cooperative": groups.cooperative_rebalance,
    "static": groups.static_members,
    "groups": groups.admin,
    "cut": groups.cut,
    "topics": topics.life_cycle,
    "unknown": topics.unknown,
    "cluster": topics.cluster,
}
# What one library alone plays, by the file that has it: it imports that library.
OWN = {"operate"}


def scene(name):
    return getattr(importlib.import_module(f"scenarios.{name}"), name) if name in OWN else SCENES[name]


def arguments(given):
    names, options, at = [], {}, iter(given)
    for word in at:
        if word.startswith("--"):
            options[word[2:]] = next(at)
        else:
            names.append(word)
    return names[0], names[1:], options


def perform(library, name, options):
    """Plays one scenario; one that hangs is left behind when its time is over."""
    started = time.monotonic()
    stage = Stage(library, name, options)
    failed = [f"not done within {DEADLINE} s"]

    def play():
        try:
            scene(name)(stage)
            failed[0] = None
        except BaseException as error:
            failed[0] = f"{type(error).__name__}: {error}"
            sys.stderr.write(f"{name}: {traceback.format_exc()}\n")

    playing = threading.Thread(target=play, daemon=True)
    playing.start()
    playing.join(DEADLINE)
    line = {"scenario": name, "raw": stage.raw, "millis": int((time.monotonic() - started) * 1000)}
    # Copied: what was left behind may still write.
    seen = dict(stage.result)
    line.update({"failed": failed[0], "until_then": seen} if failed[0] else {"result": seen})
    return line


def log_into(file):
    """Everything that a library says, also what one in C writes to standard error."""
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    # These two of kafka-python write every byte that comes and goes, which takes longer than all the rest.
    for chatty in ["kafka.protocol.parser", "kafka.net.connection"]:
        logging.getLogger(chatty).setLevel(logging.INFO)


def main():
    library, names, options = arguments(sys.argv[1:])
    log_into(options["log"])
    library = importlib.import_module(f"libraries.{library}").Library(options["bootstrap"])
    printing = threading.Lock()
    good = True

    def one(name):
        nonlocal good
        line = perform(library, name, options)
        with printing:
            print(json.dumps(line), flush=True)
            good = good and "result" in line

    with ThreadPoolExecutor(int(options.get("parallel", 4))) as pool:
        list(pool.map(one, names))
    # Not waiting for a client that a failed scenario left behind.
    os._exit(0 if good else 1)


main()
