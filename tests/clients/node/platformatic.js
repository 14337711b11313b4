// @platformatic/kafka.

import { Admin, Consumer, Producer } from '@platformatic/kafka'
import { Basket } from './stage.js'

const EVENTS = ['connect', 'disconnect', 'failed', 'drain', 'sasl:handshake'].map(what => `client:broker:${what}`)

export function connect (bootstrap, clientId, log) {
  return new Platformatic({ clientId, bootstrapBrokers: bootstrap.split(',') }, log)
}

class Platformatic {
  // zstd wants a Node that has it.
  codecs = ['none', 'gzip', 'snappy', 'lz4']

  constructor (options, log) {
    this.options = options
    this.log = log
    this.admin = this.logged(new Admin(options))
    this.asking = new Map()
  }

  // It has no log; these events are what there is.
  logged (client) {
    for (const event of EVENTS) client.on(event, seen => this.log(`${event} ${JSON.stringify(seen, plain)}`))
    return client
  }

  async close () {
    await Promise.all([this.admin.close(), ...[...this.asking.values()].map(one => one.close(true))])
  }

  // A consumer that only asks. It never joins the group.
  asks (groupId) {
    if (!this.asking.has(groupId)) this.asking.set(groupId, this.logged(new Consumer({ ...this.options, groupId })))
    return this.asking.get(groupId)
  }

  async create (topic, partitions, configs) {
    const list = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await this.admin.createTopics({ topics: [topic], partitions, replicas: 1, configs: list })
  }

  async send ({ acks, codec = 'none', idempotent = false }, ...rounds) {
    const producer = this.logged(new Producer({ ...this.options, idempotent, autocreateTopics: false }))
    for (const records of rounds) {
      const messages = records.map(({ topic, partition, key, value, headers = [], time }) => {
        const message = { topic, partition, value: Buffer.from(value) }
        if (key !== undefined) message.key = Buffer.from(key)
        if (time !== undefined) message.timestamp = BigInt(time)
        // A Map of buffers has no equal keys.
        message.headers = new Map(headers.map(([key, value]) => [Buffer.from(key), Buffer.from(value)]))
        return message
      })
      await producer.send({ messages, acks, compression: codec })
    }
    await producer.close()
  }

  async listed (topic, partition, timestamp) {
    const found = await this.asks('none').listOffsets({ topics: [topic], partitions: { [topic]: [partition] }, timestamp })
    return Number(found.get(topic)[partition])
  }

  async ends (topic, partition) {
    return [await this.listed(topic, partition, -2n), await this.listed(topic, partition, -1n)]
  }

  offsetAt (topic, partition, ms) {
    return this.listed(topic, partition, BigInt(ms))
  }

  consumer (groupId) {
    const group = { groupId, maxWaitTime: 100, heartbeatInterval: 300, sessionTimeout: 10_000, rebalanceTimeout: 10_000 }
    return this.logged(new Consumer({ ...this.options, ...group }))
  }

  async read (group, topic, wanted, from, ready) {
    const basket = new Basket(wanted)
    const consumer = this.consumer(group)
    const how = { topics: [topic], autocommit: false, mode: from }
    if (typeof from === 'number') {
      how.mode = 'manual'
      how.offsets = Object.keys(wanted).map(partition => ({ topic, partition: Number(partition), offset: BigInt(from) }))
    }
    const stream = await consumer.consume(how)
    stream.on('data', message => basket.put(record(message)))
    await new Promise((resolve, reject) => stream.once('fetch', resolve).once('error', reject))
    await ready()
    await basket.full
    await consumer.close(true)
    return basket.read
  }

  async join (group, topics, took) {
    const consumer = this.consumer(group)
    // The last commit of each message is what counts; one that a rebalance comes before is made up for by a later one.
    let commits = Promise.resolve()
    const stream = await consumer.consume({ topics, autocommit: false, mode: 'committed', fallbackMode: 'earliest' })
    stream.on('error', error => this.log(`stream ${error}`))
    stream.on('data', message => {
      took(record(message))
      commits = commits.then(() => message.commit()).catch(error => this.log(`commit ${error}`))
    })
    return {
      has: () => (consumer.assignments ?? []).flatMap(one => one.partitions).length,
      leave: async () => {
        await commits
        await consumer.close(true)
      }
    }
  }

  async committed (groupId, places) {
    const topics = [...new Set(places.map(([topic]) => topic))].map(topic => {
      return { topic, partitions: places.filter(one => one[0] === topic).map(one => one[1]) }
    })
    const all = await this.asks(groupId).listCommittedOffsets({ topics })
    return places.map(([topic, partition]) => Number(all.get(topic)[partition]))
  }
}

const plain = (_, value) => typeof value === 'bigint' ? String(value) : value

function record ({ topic, partition, offset, key, value, headers }) {
  const pairs = [...headers].map(([key, value]) => [String(key), String(value)])
  return { topic, partition, offset: Number(offset), key: key && String(key), value: String(value), headers: pairs }
}
