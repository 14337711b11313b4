"""Logs in and writes records: login.py LIBRARY BOOTSTRAP MECHANISM USER PASSWORD TOPICS SECONDS. For so many seconds a record every ten
milliseconds, and one in any case. Prints how many were acknowledged; what went wrong goes to standard error.

MECHANISM may be NONE; with OAUTHBEARER the password is a file with a token, which is read for each login. In the environment, for all
clients: LOGIN_CA, whom to trust, and then all goes over TLS; LOGIN_PEM, the client's own key and certificate in one file.
For Java, librdkafka and franz-go: LOGIN_RATE, records a second; LOGIN_PRODUCER, whose number stands in each record before the
record's own; LOGIN_GROUP, in which all is read back, each record once and in order. Several topics, with commas between, are written to in turn."""

import asyncio
import base64
import json
import os
import ssl
import sys
import threading
import time

CA, OWN = os.environ.get("LOGIN_CA"), os.environ.get("LOGIN_PEM")
RATE, PRODUCER = int(os.environ.get("LOGIN_RATE", "100")), os.environ.get("LOGIN_PRODUCER", "1")
GROUP = os.environ.get("LOGIN_GROUP")


def ticks(seconds):
    """Every ten milliseconds, also where the last one took longer."""
    tick = time.monotonic()
    end = tick + seconds
    yield
    while time.monotonic() < end:
        tick += 0.01
        time.sleep(max(0.0, tick - time.monotonic()))
        yield


def protocol(mechanism):
    if mechanism == "NONE":
        return "SSL" if CA else "PLAINTEXT"
    return "SASL_SSL" if CA else "SASL_PLAINTEXT"


def token_of(file):
    with open(file) as text:
        return text.read().strip()


def expires(token):
    """When a client needs another one. A client would not show one that it knows to be over: in a while, then."""
    claims = token.split(".")[1]
    now, until = time.time(), json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))).get("exp", 0)
    return until if until > now else now + 60


def confluent(servers, mechanism, user, password, topics, seconds):
    from confluent_kafka import Producer

    done, wrong = [0], []
    settings = {
        "bootstrap.servers": servers, "security.protocol": protocol(mechanism), "error_cb": lambda error: wrong.append(f"told: {error}"),
    }
    if CA:
        settings["ssl.ca.location"] = CA
    if OWN:
        settings.update({"ssl.certificate.location": OWN, "ssl.key.location": OWN})
    if mechanism == "OAUTHBEARER":
        settings.update({"sasl.mechanism": mechanism, "oauth_cb": lambda _: (lambda token: (token, expires(token)))(token_of(password))})
    elif mechanism != "NONE":
        settings.update({"sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password})

    def delivered(error, _):
        if error is None:
            done[0] += 1
        else:
            wrong.append(str(error))

    topics, sent = topics.split(","), [-1]
    reading = threading.Thread(target=read_confluent, args=(settings, topics, sent, wrong), daemon=True)
    if GROUP:
        reading.start()
    producer = Producer({**settings, "message.timeout.ms": 8000, "enable.idempotence": True})
    number = 0
    for _ in ticks(seconds):
        for _ in range(max(1, RATE // 100)):
            producer.produce(topics[number % len(topics)], f"{PRODUCER}/{number}", partition=0, on_delivery=delivered)
            number += 1
        producer.poll(0)
        if wrong:
            break
    patience = time.monotonic() + 20
    while len(producer) and not wrong and time.monotonic() < patience:
        producer.poll(0.1)
    sent[0] = number
    if GROUP and not wrong:
        reading.join()
    return done[0], wrong


def read_confluent(settings, topics, sent, wrong):
    """Until all that was sent has come, in order and once."""
    from confluent_kafka import Consumer

    reader = Consumer({**settings, "group.id": GROUP, "auto.offset.reset": "earliest"})
    reader.subscribe(topics)
    last, count = {}, 0
    while not wrong and count != sent[0]:
        for record in reader.consume(1000, 0.1):
            if record.error():
                wrong.append(f"read: {record.error()}")
                continue
            topic, number = record.topic(), int(record.value().split(b"/")[1])
            if number <= last.get(topic, -1):
                wrong.append(f"{topic}: {number} came behind {last[topic]}")
            last[topic] = number
            count += 1
    reader.close()


def of_python(mechanism, user, password, tokens):
    """What both of Python's own clients call by the same names."""
    settings = {"security_protocol": protocol(mechanism)}
    if mechanism == "OAUTHBEARER":
        settings.update(sasl_mechanism=mechanism, sasl_oauth_token_provider=tokens(password))
    elif mechanism != "NONE":
        settings.update(sasl_mechanism=mechanism, sasl_plain_username=user, sasl_plain_password=password)
    return settings


def kafka_python(servers, mechanism, user, password, topic, seconds):
    from kafka import KafkaProducer
    try:
        from kafka.net.sasl.oauth import AbstractTokenProvider
    except ImportError:
        from kafka.oauth import AbstractTokenProvider

    class Tokens(AbstractTokenProvider):
        def __init__(self, file):
            self.file = file

        def token(self):
            return token_of(self.file)

    settings = of_python(mechanism, user, password, Tokens)
    if CA:
        settings.update(ssl_cafile=CA)
    if OWN:
        settings.update(ssl_certfile=OWN, ssl_keyfile=OWN)
    producer = KafkaProducer(bootstrap_servers=servers, max_block_ms=8000, retries=5, **settings)
    sent = [producer.send(topic, f"1/{number}".encode()) for number, _ in enumerate(ticks(seconds))]
    return sum(1 for one in sent if one.get(20)), []


async def aio(servers, mechanism, user, password, topic, seconds):
    from aiokafka import AIOKafkaProducer
    from aiokafka.abc import AbstractTokenProvider

    class Tokens(AbstractTokenProvider):
        def __init__(self, file):
            self.file = file

        async def token(self):
            return token_of(self.file)

    settings = of_python(mechanism, user, password, Tokens)
    if CA:
        context = ssl.create_default_context(cafile=CA)
        if OWN:
            context.load_cert_chain(OWN)
        settings.update(ssl_context=context)
    producer = AIOKafkaProducer(bootstrap_servers=servers, **settings)
    await producer.start()
    end, done = time.monotonic() + seconds, 0
    while done == 0 or time.monotonic() < end:
        await producer.send_and_wait(topic, f"1/{done}".encode())
        done += 1
        await asyncio.sleep(0.01)
    await producer.stop()
    return done, []


def main(library, servers, mechanism, user, password, topics, seconds):
    try:
        if library == "aiokafka":
            done, wrong = asyncio.run(aio(servers, mechanism, user, password, topics, float(seconds)))
        else:
            play = confluent if library == "confluent" else kafka_python
            done, wrong = play(servers, mechanism, user, password, topics, float(seconds))
    except Exception as error:
        done, wrong = 0, [repr(error)]
    print(done)
    print("\n".join(wrong), file=sys.stderr)
    sys.stdout.flush()
    # Some clients try on in threads of their own.
    os._exit(0 if done and not wrong else 1)


main(*sys.argv[1:])
