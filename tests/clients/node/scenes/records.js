// Scenarios about records: what is produced is what is read. Each is named as in the tests' table, with `_` for `-`.

import { createHash } from 'node:crypto'

export const offsetsAndValues = records => records.map(one => `${one.offset}=${one.value}`)

export async function codecs (s) {
  await s.create(1)
  for (const codec of s.client.codecs) {
    const records = []
    for (let n = 0; n < 10; n++) {
      for (const [topic, partition] of s.places(1)) {
        records.push({ topic, partition, value: `${codec}-${n}-${'x'.repeat(50)}` })
      }
    }
    await s.send({ acks: -1, codec }, records)
  }
  s.saw('read', await s.contents(1, offsetsAndValues))
}

export async function headers (s) {
  await s.create(1)
  const sets = [
    [],
    [['k', '1'], ['other', 'x'], ['k', '2'], ['k', '1']],
    [['empty', ''], ['', 'empty key']],
    [['Ключ-鍵-🔑', 'значение'], ['long', 'v'.repeat(300)]]
  ]
  for (const [topic, partition] of s.places(1)) {
    for (const headers of sets) await s.send({ acks: -1 }, [{ topic, partition, key: 'key', value: 'value', headers }])
  }
  s.saw('read', await s.contents(1, records => records.map(({ offset, key, value, headers }) => ({ offset, key, value, headers }))))
}

export async function acks (s) {
  await s.create(1)
  let sent = 0
  for (const acks of [0, 1, -1]) {
    const records = []
    for (let i = 0; i < 20; i++) {
      for (const [topic, partition] of s.places(1)) records.push({ topic, partition, value: `${acks}-${i}` })
    }
    await s.send({ acks }, records)
    sent += 20
    // Nobody says when a record without acknowledgement is there.
    for (const [topic, partition] of s.places(1)) {
      await s.until('all are there', async () => (await s.client.ends(topic, partition))[1] === sent)
    }
  }
  s.saw('read', await s.contents(1, offsetsAndValues))
}

export async function idempotent (s) {
  await s.create(4)
  // Several sends, one behind the other: the sequence numbers go on.
  const rounds = Array.from({ length: 5 }, (_, round) => Array.from({ length: 100 }, (_, i) => 100 * round + i)
    .flatMap(i => s.places(4).map(([topic, partition]) => ({ topic, partition, value: `${i}` }))))
  await s.send({ acks: -1, idempotent: true }, ...rounds)
  s.saw('read', await s.contents(4, records => {
    const wrong = records.findIndex((one, i) => one.value !== `${i}` || one.offset !== i)
    return wrong < 0 ? `${records.length} in order` : `record ${wrong} is ${records[wrong].value} at ${records[wrong].offset}`
  }))
}

// Bytes that no codec makes smaller, the same in each run.
function* noise (size) {
  for (let n = 0; ; n++) {
    const parts = []
    for (let i = 0; i * 32 < size; i++) parts.push(createHash('sha256').update(`${n} ${i}`).digest())
    yield Buffer.concat(parts).subarray(0, size)
  }
}

export async function large (s) {
  await s.create(1, { 'max.message.bytes': '1000000' })
  const values = noise(900_000)
  for (let i = 0; i < 4; i++) {
    for (const [topic, partition] of s.places(1)) await s.send({ acks: -1 }, [{ topic, partition, value: values.next().value }])
  }
  // Above the topic's limit but not above the client's own.
  const [value] = noise(2_000_000)
  for (const [topic, partition] of s.places(1)) {
    s.saw(`refused by ${s.alias(topic, partition)}`, await s.errorOf(s.send({ acks: -1 }, [{ topic, partition, value }])))
  }
  const shown = ({ offset, bytes }) => `${offset}: ${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`
  s.saw('read', await s.contents(1, records => records.map(shown)))
}

export async function many_partitions (s) {
  await s.create(20)
  await s.fill('v', 20, 3)
  s.saw('read', await s.contents(20, offsetsAndValues))
}
