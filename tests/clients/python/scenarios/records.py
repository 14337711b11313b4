"""Scenarios about records: what is produced is what is read."""

import random
import zlib

from stage import New, offsets_and_values, text

SEQUENCE = 500


def codecs(stage):
    stage.create(1)
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        with stage.library.writer(compression_type=codec, linger_ms=200) as writer:
            many = (New(*at, f"{codec}-{i}-{'x' * 50}".encode()) for i in range(10) for at in stage.places(1))
            stage.saw(codec, writer.send(many))
    stage.saw("read", stage.aliased(stage.read_all(stage.places(1)), offsets_and_values))


def headers(stage):
    stage.create(1)
    sets = [
        [],
        [("k", b"1"), ("other", b"x"), ("k", b"2"), ("k", b"1")],
        [("empty", b""), ("", b"empty key")],
        [("Ключ-鍵-🔑", "значение".encode()), ("long", b"v" * 300)],
    ]
    if stage.library.null_headers:
        sets.append([("null", None), ("", None)])
    with stage.library.writer() as writer:
        for at in stage.places(1):
            for one in sets:
                writer.send([New(*at, b"value", key=b"key", headers=one)])
            for key in [None, b"", b"key"]:
                for value in [None, b"", b"value"]:
                    writer.send([New(*at, value, key=key)])
    stage.saw("read", stage.aliased(stage.read_all(stage.places(1)), lambda all: [whole(one) for one in all]))


def whole(record):
    return {
        "offset": record.offset,
        "key": text(record.key),
        "value": text(record.value),
        "headers": [[key, text(value)] for key, value in record.headers],
        "timestamp type": record.timestamp_type,
    }


def acks(stage):
    stage.create(1)
    for round, acks in enumerate(["0", "1", "all"], 1):
        with stage.library.writer(acks=acks, linger_ms=0, enable_idempotence=False) as writer:
            sent = [writer.send([New(*at, f"{acks}-{i}".encode())])[0] for i in range(20) for at in stage.places(1)]
        # What a library tells without an acknowledgement is its own affair.
        stage.saw(acks, sent if acks != "0" else len(sent))
        stage.until_ends("all are there", stage.places(1), lambda ends: all(end == 20 * round for _, end in ends.values()))
    stage.saw("read", stage.aliased(stage.read_all(stage.places(1)), offsets_and_values))


def idempotent(stage):
    stage.create(4)
    with stage.library.writer(enable_idempotence=True, acks="all", linger_ms=1, small_batches=True) as writer:
        sent = writer.send(New(*at, str(i).encode()) for i in range(SEQUENCE) for at in stage.places(4))
    stage.saw("errors", [outcome for outcome in sent if not isinstance(outcome, int)])
    stage.saw("read", stage.aliased(stage.read_all(stage.places(4)), sequence))


def sequence(records):
    """Whether the values are 0, 1, 2, ... at offsets 0, 1, 2, ...; else the first place where they are not."""
    for i, record in enumerate(records):
        if record.offset != i or record.value != str(i).encode():
            return f"record {i} is {text(record.value)} at offset {record.offset}"
    return f"{len(records)} in order"


def large(stage):
    stage.create(1)
    noise = random.Random(1)
    with stage.library.writer() as writer:
        for _ in range(4):
            for at in stage.places(1):
                sent = writer.send([New(*at, noise.randbytes(900_000))])
                assert isinstance(sent[0], int), sent
    # Above the topic's limit but not above the client's own.
    with stage.library.writer(max_request_size=3_000_000) as bold:
        for at in stage.places(1):
            stage.saw(f"refused by {stage.topic_alias(at.topic)}", bold.send([New(*at, noise.randbytes(2_000_000))]))
    shown = lambda record: f"{record.offset}: {len(record.value)} {zlib.crc32(record.value):x}"
    stage.saw("read", stage.aliased(stage.read_all(stage.places(1)), lambda all: [shown(one) for one in all]))


def many_partitions(stage):
    stage.create(50)
    stage.fill("v", 50, 3)
    stage.saw("read", stage.aliased(stage.read_all(stage.places(50)), offsets_and_values))
