// What a scenario asks of a library, which each of `kafkajs.js`, `platformatic.js` and `node-rdkafka.js` gives. What a
// library lacks, it leaves out: then the scenario that wants it is not played, or says less.
//
// - `codecs`: those it has. `isIdempotent`: whether a record that it sends again is there once.
// - `create(topic, partitions, configs, replicas)`, `grow(topic, partitions)`, `remove(topic)`, `topics()`,
//   `configs(topic, names)`, `cluster(topics)`: `{ id, nodes, controller, leaders }`.
// - `writer({ acks, codec, idempotent, make })`: has `send(records)`, in order and to their end, and `close()`. A record
//   is `{ topic, partition, key, value, headers, time }`; headers are pairs. With `make`, a topic that is not there is made.
// - `ends(topic, partition)`: the first offset and the one behind the last.
// - `offsetAt(topic, partition, ms)`: the first offset at that time or later; what it says itself where there is none.
// - `reader(group, topic, partitions, from)`: reads from `earliest`, `latest` or an offset on; what is sent when it is there
//   will be read. Has a `basket`, `seek(partition, offset)` and `close()`.
// - `join(group, topics, took, { instance, cooperative })`: a member that reads topics from their beginning and commits what
//   it has read; `has()` is what it is assigned, `leave()` ends it.
// - `committed(group, places)`: committed offsets, -1 where there is none.
// - `groups()`: names, as often as it is told of them; `group(name)`: `{ state, protocol, members }` with `[client, places]`
//   for each member; `deleteGroup(name)`; `coordinator(name)`: a node.
// - `nameOf(error)`: its own name of an error that Kafka told.
// - `close()`.

import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

// Generous: machines are busy.
const SOON = 40_000

export class Stage {
  result = {}
  raw = {}

  constructor (name, topics, groups, cutFile) {
    this.name = name
    this.topics = topics // through a proxy they live on two clusters
    this.groups = groups // likewise
    this.cutFile = cutFile
    this.readers = 0
  }

  saw (what, value) {
    this.result[what] = value
  }

  // Creates both topics and waits until the leaders lead.
  async create (partitions, configs = {}) {
    for (const topic of this.topics) await this.client.create(topic, partitions, configs, 1)
    for (const [topic, partition] of this.places(partitions)) {
      await this.until('topics have leaders', () => this.client.ends(topic, partition).then(() => true, () => false))
    }
  }

  places (partitions) {
    return this.topics.flatMap(topic => Array.from({ length: partitions }, (_, partition) => [topic, partition]))
  }

  // Sends rounds of records by a producer of their own.
  async send (how, ...rounds) {
    const writer = await this.client.writer(how)
    try {
      for (const records of rounds) await writer.send(records)
    } finally {
      await writer.close()
    }
  }

  // Sends `count` records to each partition, record i with the value `prefix-i`.
  async fill (prefix, partitions, count) {
    const records = []
    for (let i = 0; i < count; i++) {
      for (const [topic, partition] of this.places(partitions)) records.push({ topic, partition, value: `${prefix}-${i}` })
    }
    await this.send({ acks: -1 }, records)
  }

  // A reader by a group that is there for nothing else.
  reader (topic, partitions, from) {
    const of = this.topics.indexOf(topic)
    return this.client.reader(`${this.groups[of]}.reader-${this.readers++}`, topic, partitions, from)
  }

  // So many records of each partition in `wanted`; calls `ready` when a record that is sent afterwards will be read.
  async read (topic, wanted, from, ready) {
    const reader = await this.reader(topic, Object.keys(wanted).map(Number), from)
    await ready()
    const read = await reader.basket.next(wanted)
    await reader.close()
    return read
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

  // The name of the error that comes of something, `none` where none does.
  async errorOf (something) {
    try {
      await something
      return 'none'
    } catch (error) {
      return this.client.nameOf(error)
    }
  }

  // `one/0` for partition 0 of the first topic: the same name whatever the topic is called in this run.
  alias (topic, partition) {
    return `${this.topicAlias(topic)}/${partition}`
  }

  topicAlias (topic) {
    return ['one', 'two'][this.topics.indexOf(topic)]
  }

  aliases (places) {
    return places.map(([topic, partition]) => this.alias(topic, partition)).sort()
  }

  // Waits until something is so.
  async until (what, so) {
    for (const end = Date.now() + SOON; Date.now() < end; await sleep(20)) {
      if (await so()) return
    }
    throw new Error(`not within ${SOON} ms: ${what}`)
  }

  // The trial cuts all connections when it sees the file, and takes it away when it has.
  async haveItCut () {
    if (this.cutFile === undefined) return
    writeFileSync(this.cutFile, '')
    while (existsSync(this.cutFile)) await sleep(10)
  }
}

// Keeps the records of partitions that were read, until somebody takes them.
export class Basket {
  read = new Map()
  awaited = new Map()
  changed = () => {}

  put (record) {
    const { partition, offset } = record
    // What was on its way before a seek is not what is wanted.
    if (this.awaited.has(partition) && this.awaited.get(partition) !== offset) return
    this.awaited.delete(partition)
    this.of(partition).push(record)
    this.changed()
  }

  of (partition) {
    if (!this.read.has(partition)) this.read.set(partition, [])
    return this.read.get(partition)
  }

  // From now on nothing counts before this.
  from (partition, offset) {
    this.read.delete(partition)
    this.awaited.set(partition, offset)
  }

  // So many records of each partition.
  async next (wanted) {
    const counts = Object.entries(wanted).map(([partition, count]) => [Number(partition), count])
    const late = setTimeout(() => this.fail(new Error(`not within ${SOON} ms: ${JSON.stringify(wanted)} records are read`)), SOON)
    try {
      while (counts.some(([partition, count]) => this.of(partition).length < count)) {
        await new Promise((resolve, reject) => Object.assign(this, { changed: resolve, fail: reject }))
      }
    } finally {
      clearTimeout(late)
    }
    return Object.fromEntries(counts.map(([partition, count]) => [partition, this.of(partition).splice(0, count)]))
  }
}
