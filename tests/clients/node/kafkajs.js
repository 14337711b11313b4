// KafkaJS.

import { lz4Compress, lz4Decompress } from '@platformatic/wasm-utils'
import kafkajs from 'kafkajs'
import snappy from 'kafkajs-snappy'
import { ZstdCodec } from 'zstd-codec'
import { Basket } from './stage.js'

const { AssignerProtocol, CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs
const { None, GZIP, Snappy, LZ4, ZSTD } = CompressionTypes
const CODECS = { none: None, gzip: GZIP, snappy: Snappy, lz4: LZ4, zstd: ZSTD }

// It has gzip; for others an application brings what compresses. (kafkajs-lz4 and @kafkajs/zstd want a compiler.)
const zstd = new Promise(resolve => ZstdCodec.run(({ Simple }) => resolve(new Simple())))
const codec = (compress, decompress) => () => ({
  compress: async ({ buffer }) => Buffer.from(await compress(buffer)),
  decompress: async buffer => Buffer.from(await decompress(buffer))
})
CompressionCodecs[Snappy] = snappy
CompressionCodecs[LZ4] = codec(lz4Compress, lz4Decompress)
CompressionCodecs[ZSTD] = codec(async data => (await zstd).compress(data), async data => (await zstd).decompress(data))

export function connect (bootstrap, clientId, log) {
  const logCreator = () => entry => log(JSON.stringify(entry))
  return new KafkaJs(new Kafka({ clientId, brokers: bootstrap.split(','), logLevel: logLevel.DEBUG, logCreator }))
}

class KafkaJs {
  codecs = Object.keys(CODECS)
  isIdempotent = true

  constructor (kafka) {
    this.kafka = kafka
  }

  // One that is connected, for as long as the scenario is played.
  async admin () {
    this.theAdmin ??= (async () => {
      // It asks again and again whether a topic is gone that was not there.
      const admin = this.kafka.admin({ retry: { retries: 3 } })
      await admin.connect()
      return admin
    })()
    return this.theAdmin
  }

  async close () {
    await (await this.theAdmin)?.disconnect()
  }

  nameOf (error) {
    const [one] = error.errors ?? error.groups?.map(group => group.error) ?? []
    return one?.type ?? error.type ?? error.cause?.type ?? error.name
  }

  async create (topic, partitions, configs, replicas) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    const wanted = { topic, numPartitions: partitions, replicationFactor: replicas, configEntries }
    // That a topic is there already it tells so, and throws everything else.
    const made = await (await this.admin()).createTopics({ topics: [wanted], waitForLeaders: false })
    if (!made) throw Object.assign(new Error(), { type: 'not made' })
  }

  async grow (topic, partitions) {
    await (await this.admin()).createPartitions({ topicPartitions: [{ topic, count: partitions }] })
  }

  async remove (topic) {
    await (await this.admin()).deleteTopics({ topics: [topic] })
  }

  async topics () {
    return (await this.admin()).listTopics()
  }

  async configs (topic, names) {
    const asked = { type: ConfigResourceTypes.TOPIC, name: topic, configNames: names }
    const { resources } = await (await this.admin()).describeConfigs({ resources: [asked], includeSynonyms: false })
    return Object.fromEntries(resources[0].configEntries.map(one => [one.configName, one.configValue]))
  }

  async cluster (topics) {
    const admin = await this.admin()
    const { brokers, controller, clusterId } = await admin.describeCluster()
    const told = await admin.fetchTopicMetadata({ topics })
    const inOrder = (a, b) => a.partitionId - b.partitionId
    const leaders = ({ name, partitions }) => [name, partitions.sort(inOrder).map(one => one.leader)]
    const nodes = brokers.map(({ nodeId, host, port }) => ({ id: nodeId, host, port }))
    return { id: clusterId, controller, nodes, leaders: Object.fromEntries(told.topics.map(leaders)) }
  }

  async writer ({ acks, codec = 'none', idempotent = false, make = false }) {
    const producer = this.kafka.producer({ idempotent, maxInFlightRequests: idempotent ? 1 : null, allowAutoTopicCreation: make })
    await producer.connect()
    const send = async records => {
      const byTopic = new Map(records.map(one => [one.topic, []]))
      for (const { topic, partition, key, value, headers = [], time } of records) {
        const message = { partition, key, value, headers: grouped(headers) }
        if (time !== undefined) message.timestamp = String(time)
        byTopic.get(topic).push(message)
      }
      const topicMessages = [...byTopic].map(([topic, messages]) => ({ topic, messages }))
      await producer.sendBatch({ acks, compression: CODECS[codec], topicMessages })
    }
    return { send, close: () => producer.disconnect() }
  }

  async ends (topic, partition) {
    const all = await (await this.admin()).fetchTopicOffsets(topic)
    const { low, high } = all.find(one => one.partition === partition)
    return [Number(low), Number(high)]
  }

  async offsetAt (topic, partition, ms) {
    const all = await (await this.admin()).fetchTopicOffsetsByTimestamp(topic, ms)
    return Number(all.find(one => one.partition === partition).offset)
  }

  consumer (groupId) {
    return this.kafka.consumer({ groupId, maxWaitTimeInMs: 100, heartbeatInterval: 300, sessionTimeout: 10_000, rebalanceTimeout: 10_000 })
  }

  async reader (group, topic, partitions, from) {
    const basket = new Basket()
    const consumer = this.consumer(group)
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: from === 'earliest' })
    const fetched = new Promise(resolve => consumer.on(consumer.events.FETCH, resolve))
    const eachMessage = async payload => basket.put(record(payload))
    await consumer.run({ autoCommit: false, eachMessage })
    const seek = (partition, offset) => {
      basket.from(partition, offset)
      consumer.seek({ topic, partition, offset: String(offset) })
    }
    if (typeof from === 'number') partitions.forEach(partition => seek(partition, from))
    await fetched
    return { basket, seek, close: () => consumer.disconnect() }
  }

  async join (group, topics, took) {
    let has = []
    const consumer = this.consumer(group)
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      has = placesOf(payload.memberAssignment)
    })
    await consumer.connect()
    await consumer.subscribe({ topics, fromBeginning: true })
    await consumer.run({ autoCommitThreshold: 1, eachMessage: async payload => took(record(payload)) })
    return { has: () => has, leave: () => consumer.disconnect() }
  }

  async committed (groupId, places) {
    const topics = [...new Set(places.map(([topic]) => topic))]
    const all = await (await this.admin()).fetchOffsets({ groupId, topics })
    return places.map(([topic, partition]) => {
      const ofTopic = all.find(one => one.topic === topic)?.partitions ?? []
      return Number(ofTopic.find(one => one.partition === partition)?.offset ?? -1)
    })
  }

  async groups () {
    return (await (await this.admin()).listGroups()).groups.map(one => one.groupId)
  }

  async group (name) {
    const { groups: [found] } = await (await this.admin()).describeGroups([name])
    const members = found.members.map(({ clientId, memberAssignment }) => {
      return [clientId, placesOf(AssignerProtocol.MemberAssignment.decode(memberAssignment).assignment)]
    })
    return { state: found.state, protocol: `${found.protocolType}/${found.protocol}`, members }
  }

  async deleteGroup (name) {
    await (await this.admin()).deleteGroups([name])
  }
}

const placesOf = assignment => Object.entries(assignment).flatMap(([topic, all]) => all.map(partition => [topic, partition]))

// The values of each key: this library keeps no other order.
function grouped (headers) {
  const all = {}
  for (const [key, value] of headers) (all[key] ??= []).push(value)
  return all
}

function record ({ topic, partition, message }) {
  const headers = Object.entries(message.headers ?? {}).flatMap(([key, values]) => [values].flat().map(value => [key, String(value)]))
  const { offset, key, value } = message
  return { topic, partition, offset: Number(offset), key: key && String(key), value: String(value), bytes: value, headers }
}
