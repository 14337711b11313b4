// What a scenario asks of a library, which each of `kafkajs.js` and `platformatic.js` gives:
//
// - `codecs`: those it has.
// - `create(topic, partitions, configs)`.
// - `send({ acks, codec, idempotent }, records)`: in order, and waits for them. A record is `{ topic, partition, key,
//   value, headers, time }`; headers are pairs.
// - `ends(topic, partition)`: the first offset and the one behind the last.
// - `offsetAt(topic, partition, ms)`: the first offset at that time or later; what it says itself where there is none.
// - `read(group, topic, wanted, from, ready)`: so many records of each partition in `wanted` from `earliest`, `latest` or
//   an offset on; calls `ready` when a record that is sent afterwards will be read.
// - `join(group, topics, took)`: a member that reads topics from their beginning and commits what it has read; `has()` is
//   what it is assigned, `leave()` ends it.
// - `committed(group, places)`: committed offsets, -1 where there is none.
// - `close()`.

import { setTimeout as sleep } from 'node:timers/promises'

export class Stage {
  result = {}

  constructor (name, topics, groups) {
    this.name = name
    this.topics = topics // through a proxy they live on two clusters
    this.groups = groups // likewise
    this.readers = 0
  }

  saw (what, value) {
    this.result[what] = value
  }

  // Creates both topics and waits until the leaders lead.
  async create (partitions, configs = {}) {
    for (const topic of this.topics) await this.client.create(topic, partitions, configs)
    for (const [topic, partition] of this.places(partitions)) {
      await this.until('topics have leaders', () => this.client.ends(topic, partition).then(() => true, () => false))
    }
  }

  places (partitions) {
    return this.topics.flatMap(topic => Array.from({ length: partitions }, (_, partition) => [topic, partition]))
  }

  // Sends `count` records to each partition, record i with the value `prefix-i`.
  async fill (prefix, partitions, count) {
    const records = []
    for (let i = 0; i < count; i++) {
      for (const [topic, partition] of this.places(partitions)) records.push({ topic, partition, value: `${prefix}-${i}` })
    }
    await this.client.send({ acks: -1 }, records)
  }

  // So many records of each partition in `wanted`, read by a group that is there for nothing else.
  read (topic, wanted, from, ready) {
    const of = this.topics.indexOf(topic)
    return this.client.read(`${this.groups[of]}.reader-${this.readers++}`, topic, wanted, from, ready)
  }

  // What is in partitions from their beginning to their present end, by their aliases.
  async contents (partitions, shown) {
    const all = {}
    for (const topic of this.topics) {
      const wanted = {}
      for (let partition = 0; partition < partitions; partition++) {
        const [first, end] = await this.client.ends(topic, partition)
        wanted[partition] = end - first
      }
      const read = await this.read(topic, wanted, 'earliest', () => {})
      for (const partition of Object.keys(wanted)) all[this.alias(topic, partition)] = shown(read[partition])
    }
    return all
  }

  // `one/0` for partition 0 of the first topic: the same name whatever the topic is called in this run.
  alias (topic, partition) {
    return `${['one', 'two'][this.topics.indexOf(topic)]}/${partition}`
  }

  // Waits until something is so.
  async until (what, so) {
    for (const end = Date.now() + 20_000; Date.now() < end; await sleep(20)) {
      if (await so()) return
    }
    throw new Error(`not within 20 s: ${what}`)
  }
}

// Collects records of partitions until there are as many as wanted.
export class Basket {
  constructor (wanted) {
    this.wanted = wanted
    this.read = Object.fromEntries(Object.keys(wanted).map(partition => [partition, []]))
    this.full = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.late = setTimeout(() => reject(new Error(`not within 20 s: ${JSON.stringify(wanted)} records are read`)), 20_000)
    })
    this.full.catch(() => {})
    this.look()
  }

  put (record) {
    const list = this.read[record.partition]
    if (list && list.length < this.wanted[record.partition]) list.push(record)
    this.look()
  }

  look () {
    if (Object.entries(this.wanted).every(([partition, count]) => this.read[partition].length >= count)) {
      clearTimeout(this.late)
      this.resolve()
    }
  }
}
