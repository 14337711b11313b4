// Scenarios about positions: by time, at the ends, by seeking.

import { offsetsAndValues } from './records.js'

export async function offsets (s) {
  // The records are old, and must not be deleted for it.
  await s.create(2, { 'retention.ms': '-1' })
  for (const time of [1000, 3000, 3000, 2000, 9000, 4000]) {
    for (const topic of s.topics) await s.send({ acks: -1 }, [{ topic, partition: 0, value: `at ${time}`, time }])
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
      return s.send({ acks: -1 }, [{ topic, partition, value: 'after' }])
    }))
  }
}

// Two readers at once, of which now one and now the other goes on, and goes back.
export async function seek (s) {
  await s.create(1)
  await s.fill('v', 1, 10)
  const readers = []
  for (const topic of s.topics) readers.push(await s.reader(topic, [0], 'earliest'))
  const next = async (...counts) => {
    const seen = {}
    for (const [i, reader] of readers.entries()) {
      seen[s.alias(s.topics[i], 0)] = offsetsAndValues((await reader.basket.next({ 0: counts[i] }))[0])
    }
    return seen
  }
  s.saw('two stands still', await next(10, 0))
  s.saw('two goes on', await next(0, 10))
  await readers[0].seek(0, 7)
  s.saw('one back to 7', await next(3, 0))
  await readers[0].seek(0, 3)
  await readers[1].seek(0, 8)
  s.saw('both back', await next(7, 2))
  await s.fill('more', 1, 2)
  s.saw('after the end', await next(2, 2))
  for (const reader of readers) await reader.close()
}
