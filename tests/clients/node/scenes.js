// The scenarios; each is named as in the tests' table, with `_` for `-`.

const offsetsAndValues = records => records.map(one => `${one.offset}=${one.value}`)

export async function codecs (s) {
  await s.create(1)
  for (const codec of s.client.codecs) {
    const records = []
    for (let n = 0; n < 10; n++) {
      for (const [topic, partition] of s.places(1)) {
        records.push({ topic, partition, value: `${codec}-${n}-${'x'.repeat(50)}` })
      }
    }
    await s.client.send({ acks: -1, codec }, records)
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
    for (const headers of sets) await s.client.send({ acks: -1 }, [{ topic, partition, key: 'key', value: 'value', headers }])
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
    await s.client.send({ acks }, records)
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
  await s.client.send({ acks: -1, idempotent: true }, ...rounds)
  s.saw('read', await s.contents(4, records => {
    const wrong = records.findIndex((one, i) => one.value !== `${i}` || one.offset !== i)
    return wrong < 0 ? `${records.length} in order` : `record ${wrong} is ${records[wrong].value} at ${records[wrong].offset}`
  }))
}

export async function many_partitions (s) {
  await s.create(20)
  await s.fill('v', 20, 3)
  s.saw('read', await s.contents(20, offsetsAndValues))
}

export async function offsets (s) {
  // The records are old, and must not be deleted for it.
  await s.create(2, { 'retention.ms': '-1' })
  for (const time of [1000, 3000, 3000, 2000, 9000, 4000]) {
    for (const topic of s.topics) await s.client.send({ acks: -1 }, [{ topic, partition: 0, value: `at ${time}`, time }])
  }
  for (const [topic, partition] of s.places(2)) {
    s.saw(`${s.alias(topic, partition)} ends`, (await s.client.ends(topic, partition)).join(' '))
    const found = {}
    for (const time of [1000, 1500, 2500, 3000, 3001, 9000, 9001]) {
      found[`at ${time}`] = await s.client.offsetAt(topic, partition, time)
    }
    s.saw(s.alias(topic, partition), found)
  }
}

export async function reset (s) {
  await s.create(1)
  await s.fill('before', 1, 5)
  for (const [topic, partition] of s.places(1)) {
    const read = async (from, count, ready) => {
      return offsetsAndValues((await s.read(topic, { [partition]: count }, from, ready))[partition])
    }
    s.saw(`${s.alias(topic, partition)} earliest`, await read('earliest', 5, () => {}))
    s.saw(`${s.alias(topic, partition)} at 3`, await read(3, 2, () => {}))
    s.saw(`${s.alias(topic, partition)} latest`, await read('latest', 1, () => {
      return s.client.send({ acks: -1 }, [{ topic, partition, value: 'after' }])
    }))
  }
}

// What all members of a group read.
class Reads {
  all = new Set()

  constructor (s) {
    this.took = one => this.all.add(`${s.alias(one.topic, one.partition)}@${one.offset}=${one.value}`)
  }
}

// A group that ends and comes again goes on where it was.
export async function commit (s) {
  await s.create(2)
  await s.fill('first', 2, 5)
  for (const [g, group] of s.groups.entries()) {
    const read = async count => {
      const reads = new Reads(s)
      const member = await s.client.join(group, s.topics, reads.took)
      await s.until(`${count} are read`, () => reads.all.size === count)
      await member.leave()
      return [...reads.all].sort()
    }
    const seen = { first: await read(20 + 4 * g) }
    seen.committed = await s.client.committed(group, s.places(2))
    await s.fill('more', 2, 1)
    seen.then = await read(4)
    seen['committed then'] = await s.client.committed(group, s.places(2))
    s.saw(`group ${g + 1}`, seen)
  }
}

// One member, then two, then the other one alone.
export async function rebalance (s) {
  const partitions = 4
  await s.create(partitions)
  for (const [g, group] of s.groups.entries()) {
    const reads = new Reads(s)
    let total = g * 3 * 2 * partitions
    const round = async number => {
      await s.fill(`group-${g}-round-${number}`, partitions, 1)
      total += 2 * partitions
      await s.until('all is read', () => reads.all.size === total)
    }
    const first = await s.client.join(group, s.topics, reads.took)
    await s.until('the first has all', () => first.has() === 2 * partitions)
    await round(0)
    const second = await s.client.join(group, s.topics, reads.took)
    await s.until('both have half', () => first.has() === partitions && second.has() === partitions)
    await round(1)
    await first.leave()
    await s.until('the second has all', () => second.has() === 2 * partitions)
    await round(2)
    await second.leave()
    s.saw(`group ${g + 1}`, { committed: await s.client.committed(group, s.places(partitions)), records: reads.all.size })
  }
}
