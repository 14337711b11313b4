"""Logs in and writes records: login.py LIBRARY BOOTSTRAP MECHANISM USER PASSWORD TOPIC SECONDS. For so many seconds a record every ten
milliseconds, and one in any case. Prints how many were acknowledged; what went wrong goes to standard error."""

import asyncio
import sys
import time


def every_10_ms(seconds):
    end = time.monotonic() + seconds
    yield
    while time.monotonic() < end:
        time.sleep(0.01)
        yield


def confluent(servers, mechanism, user, password, topic, seconds):
    from confluent_kafka import Producer

    done, wrong = [0], []

    def delivered(error, _):
        if error is None:
            done[0] += 1
        else:
            wrong.append(str(error))

    producer = Producer({
        "bootstrap.servers": servers, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism, "sasl.username": user,
        "sasl.password": password, "message.timeout.ms": 8000, "error_cb": lambda error: wrong.append(str(error)),
        "enable.idempotence": True,
    })
    for _ in every_10_ms(seconds):
        producer.produce(topic, b"x", on_delivery=delivered)
        producer.poll(0)
    producer.flush(20)
    return done[0], wrong


def kafka_python(servers, mechanism, user, password, topic, seconds):
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=servers, security_protocol="SASL_PLAINTEXT", sasl_mechanism=mechanism, sasl_plain_username=user,
        sasl_plain_password=password, max_block_ms=8000, retries=5)
    sent = [producer.send(topic, b"x") for _ in every_10_ms(seconds)]
    return sum(1 for one in sent if one.get(20)), []


async def aio(servers, mechanism, user, password, topic, seconds):
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(
        bootstrap_servers=servers, security_protocol="SASL_PLAINTEXT", sasl_mechanism=mechanism, sasl_plain_username=user,
        sasl_plain_password=password)
    await producer.start()
    end, done = time.monotonic() + seconds, 0
    while done == 0 or time.monotonic() < end:
        await producer.send_and_wait(topic, b"x")
        done += 1
        await asyncio.sleep(0.01)
    await producer.stop()
    return done, []


def main(library, servers, mechanism, user, password, topic, seconds):
    try:
        if library == "aiokafka":
            done, wrong = asyncio.run(aio(servers, mechanism, user, password, topic, float(seconds)))
        else:
            play = confluent if library == "confluent" else kafka_python
            done, wrong = play(servers, mechanism, user, password, topic, float(seconds))
    except Exception as error:
        done, wrong = 0, [repr(error)]
    print(done)
    print("\n".join(wrong), file=sys.stderr)
    sys.stdout.flush()
    # Some clients try on in threads of their own.
    import os
    os._exit(0 if done and not wrong else 1)


main(*sys.argv[1:])
