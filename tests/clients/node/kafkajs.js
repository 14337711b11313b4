// KafkaJS.

import kafkajs from 'kafkajs'
import { Basket } from './stage.js'

const { Kafka, CompressionTypes, logLevel } = kafkajs
const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP }

export function connect (bootstrap, clientId, log) {
  const logCreator = () => entry => log(JSON.stringify(entry))
  return new KafkaJs(new Kafka({ clientId, brokers: bootstrap.split(','), logLevel: logLevel.DEBUG, logCreator }))
}

class KafkaJs {
  codecs = Object.keys(CODECS)

  constructor (kafka) {
    this.kafka = kafka
  }

  // One that is connected, for as long as the scenario is played.
  async admin () {
    this.theAdmin ??= (async () => {
      const admin = this.kafka.admin()
      await admin.connect()
      return admin
    })()
    return this.theAdmin
  }

  async close () {
    await (await this.theAdmin)?.disconnect()
  }

  async create (topic, partitions, configs) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    const wanted = { topic, numPartitions: partitions, replicationFactor: 1, configEntries }
    await (await this.admin()).createTopics({ topics: [wanted], waitForLeaders: false })
  }

  async send ({ acks, codec = 'none', idempotent = false }, ...rounds) {
    const producer = this.kafka.producer({ idempotent, maxInFlightRequests: idempotent ? 1 : null })
    await producer.connect()
    for (const records of rounds) {
      const byTopic = new Map(records.map(one => [one.topic, []]))
      for (const { topic, partition, key, value, headers = [], time } of records) {
        const message = { partition, key, value, headers: grouped(headers) }
        if (time !== undefined) message.timestamp = String(time)
        byTopic.get(topic).push(message)
      }
      const topicMessages = [...byTopic].map(([topic, messages]) => ({ topic, messages }))
      await producer.sendBatch({ acks, compression: CODECS[codec], topicMessages })
    }
    await producer.disconnect()
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

  async read (group, topic, wanted, from, ready) {
    const basket = new Basket(wanted)
    const consumer = this.consumer(group)
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: from === 'earliest' })
    const fetched = new Promise(resolve => consumer.on(consumer.events.FETCH, resolve))
    const eachMessage = async payload => basket.put(record(payload))
    await consumer.run({ autoCommit: false, eachMessage })
    if (typeof from === 'number') {
      for (const partition of Object.keys(wanted)) consumer.seek({ topic, partition: Number(partition), offset: String(from) })
    }
    await fetched
    await ready()
    await basket.full
    await consumer.disconnect()
    return basket.read
  }

  async join (group, topics, took) {
    let has = 0
    const consumer = this.consumer(group)
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      has = Object.values(payload.memberAssignment).flat().length
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
}

// The values of each key: this library keeps no other order.
function grouped (headers) {
  const all = {}
  for (const [key, value] of headers) (all[key] ??= []).push(value)
  return all
}

function record ({ topic, partition, message }) {
  const headers = Object.entries(message.headers ?? {}).flatMap(([key, values]) => [values].flat().map(value => [key, String(value)]))
  return { topic, partition, offset: Number(message.offset), key: message.key && String(message.key), value: String(message.value), headers }
}
