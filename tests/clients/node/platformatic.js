// @platformatic/kafka.

import zlib from 'node:zlib'
import { Admin, ConfigResourceTypes, Consumer, FindCoordinatorKeyTypes, Producer } from '@platformatic/kafka'
import { Basket } from './stage.js'

const EVENTS = ['connect', 'disconnect', 'failed', 'drain', 'sasl:handshake'].map(what => `client:broker:${what}`)

export function connect (bootstrap, clientId, log) {
  return new Platformatic({ clientId, bootstrapBrokers: bootstrap.split(',') }, log)
}

class Platformatic {
  // It compresses by Node's own zstd, where there is one (22.15, 23.8).
  codecs = ['none', 'gzip', 'snappy', 'lz4', ...(zlib.zstdCompressSync ? ['zstd'] : [])]
  isIdempotent = true

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

  // Errors are in errors, with a code of its own at each level and Kafka's at the last.
  nameOf (error) {
    return error.apiId ?? error.errors?.map(one => this.nameOf(one))[0] ?? error.cause?.apiId ?? error.code ?? error.name
  }

  async create (topic, partitions, configs, replicas) {
    const list = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await this.admin.createTopics({ topics: [topic], partitions, replicas, configs: list })
  }

  async grow (topic, partitions) {
    await this.admin.createPartitions({ topics: [{ name: topic, count: partitions }] })
  }

  async remove (topic) {
    await this.admin.deleteTopics({ topics: [topic] })
  }

  topics () {
    return this.admin.listTopics()
  }

  async configs (topic, names) {
    const asked = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: names }
    const [found] = await this.admin.describeConfigs({ resources: [asked] })
    return Object.fromEntries(found.configs.map(one => [one.name, one.value]))
  }

  async cluster (topics) {
    const told = await this.admin.metadata({ topics, forceUpdate: true })
    const nodes = [...told.brokers].map(([id, { host, port }]) => ({ id, host, port }))
    const leaders = [...told.topics].map(([name, { partitions }]) => [name, partitions.map(one => one.leader)])
    return { id: told.id, controller: told.controllerId, nodes, leaders: Object.fromEntries(leaders) }
  }

  async writer ({ acks, codec = 'none', idempotent = false, make = false }) {
    const producer = this.logged(new Producer({ ...this.options, idempotent, autocreateTopics: make }))
    const send = async records => {
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
    return { send, close: () => producer.close() }
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

  consumer (groupId, more = {}) {
    const group = { groupId, maxWaitTime: 100, heartbeatInterval: 300, sessionTimeout: 10_000, rebalanceTimeout: 10_000, ...more }
    return this.logged(new Consumer({ ...this.options, ...group }))
  }

  async reader (group, topic, partitions, from) {
    const basket = new Basket()
    const consumer = this.consumer(group)
    const consume = async how => {
      const stream = await consumer.consume({ topics: [topic], autocommit: false, ...how })
      stream.on('data', message => basket.put(record(message)))
      await new Promise((resolve, reject) => stream.once('fetch', resolve).once('error', reject))
      return stream
    }
    const at = offset => ({ mode: 'manual', offsets: partitions.map(partition => ({ topic, partition, offset: BigInt(offset) })) })
    let stream = await consume(typeof from === 'number' ? at(from) : { mode: from })
    // It cannot go back: another stream begins where it is wanted.
    const seek = async (partition, offset) => {
      await stream.close()
      basket.from(partition, offset)
      stream = await consume(at(offset))
    }
    return { basket, seek, close: () => consumer.close(true) }
  }

  async join (group, topics, took, { instance }) {
    const consumer = this.consumer(group, instance === undefined ? {} : { groupInstanceId: instance })
    // The last commit of each message is what counts; one that a rebalance comes before is made up for by a later one.
    let commits = Promise.resolve()
    const stream = await consumer.consume({ topics, autocommit: false, mode: 'committed', fallbackMode: 'earliest' })
    stream.on('error', error => this.log(`stream ${error}`))
    stream.on('data', message => {
      took(record(message))
      commits = commits.then(() => message.commit()).catch(error => this.log(`commit ${error}`))
    })
    return {
      has: () => (consumer.assignments ?? []).flatMap(placesOf),
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

  async groups () {
    return [...(await this.admin.listGroups()).keys()]
  }

  async group (name) {
    const found = (await this.admin.describeGroups({ groups: [name] })).get(name)
    const members = [...found.members.values()].map(one => [one.clientId, [...one.assignments?.values() ?? []].flatMap(placesOf)])
    return { state: found.state, protocol: `${found.protocolType}/${found.protocol}`, members }
  }

  async deleteGroup (name) {
    await this.admin.deleteGroups({ groups: [name] })
  }

  async coordinator (name) {
    const [found] = await this.admin.findCoordinator({ keyType: FindCoordinatorKeyTypes.GROUP, keys: [name] })
    return { id: found.nodeId, host: found.host, port: found.port }
  }
}

const placesOf = ({ topic, partitions }) => partitions.map(partition => [topic, partition])
const plain = (_, value) => typeof value === 'bigint' ? String(value) : value

function record ({ topic, partition, offset, key, value, headers }) {
  const pairs = [...headers].map(([key, value]) => [String(key), String(value)])
  return { topic, partition, offset: Number(offset), key: key && String(key), value: String(value), bytes: value, headers: pairs }
}
