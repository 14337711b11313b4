// node-rdkafka. It is in a folder of its own, because it is built and not only fetched.

import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import { Basket } from './stage.js'

const { AdminClient, CODES, KafkaConsumer, Producer } = createRequire(import.meta.url)('../node-rdkafka/node_modules/node-rdkafka')
const NAMES = new Map(Object.entries(CODES.ERRORS).map(([name, code]) => [code, name]))
const TO_ANSWER = 5000
const ENDS = { earliest: -2, latest: -1 }

export function connect (bootstrap, clientId, log) {
  return new NodeRdkafka({ 'metadata.broker.list': bootstrap, 'client.id': clientId, debug: 'broker,metadata,cgrp', event_cb: true }, log)
}

class NodeRdkafka {
  // zstd wants a machine that has its headers.
  codecs = ['none', 'gzip', 'snappy', 'lz4']
  isIdempotent = true

  constructor (options, log) {
    this.options = options
    this.log = log
    this.asking = new Map()
    const admin = AdminClient.create({ 'metadata.broker.list': options['metadata.broker.list'], 'client.id': options['client.id'] })
    const call = name => promisify(admin[name].bind(admin))
    this.admin = { create: call('createTopic'), remove: call('deleteTopic'), grow: call('createPartitions') }
  }

  async close () {
    // The admin client is left: its end takes the process with it (SIGSEGV) while other clients are at work.
    for (const client of this.asking.values()) await over(await client)
  }

  // Messages of its admin client name the topic, which is called otherwise in each run; its producer gives no code.
  nameOf (error) {
    return error.code === CODES.ERRORS.ERR_UNKNOWN ? error.message : NAMES.get(error.code) ?? error.message
  }

  async connected (client) {
    client.on('event.log', ({ fac, message }) => this.log(`${fac} ${message}`))
    client.on('event.error', error => this.log(`error ${error}`))
    await promisify(client.connect.bind(client))({ allTopics: false })
    return client
  }

  consumer (group, more = {}, ofTopic = {}) {
    const options = { 'group.id': group, 'enable.auto.commit': false, 'fetch.wait.max.ms': 100, ...this.options, ...more }
    return this.connected(new KafkaConsumer(options, ofTopic))
  }

  // A consumer that only asks.
  asks (group = 'none') {
    if (!this.asking.has(group)) this.asking.set(group, this.consumer(group))
    return this.asking.get(group)
  }

  async asked (group, call, ...words) {
    const client = await this.asks(group)
    try {
      return await promisify(client[call].bind(client))(...words)
    } catch (error) {
      // It remembers for long that a topic was not there: the next question has another client.
      this.asking.delete(group)
      await over(client)
      throw error
    }
  }

  create (topic, partitions, configs, replicas) {
    return this.admin.create({ topic, num_partitions: partitions, replication_factor: replicas, config: configs }, TO_ANSWER)
  }

  grow (topic, partitions) {
    return this.admin.grow(topic, partitions, TO_ANSWER)
  }

  remove (topic) {
    return this.admin.remove(topic, TO_ANSWER)
  }

  metadata (more) {
    return this.asked('none', 'getMetadata', { timeout: TO_ANSWER, ...more })
  }

  async topics () {
    return (await this.metadata({ allTopics: true })).topics.map(one => one.name)
  }

  async cluster (topics) {
    const leaders = {}
    const nodes = new Map()
    for (const topic of topics) {
      const told = await this.metadata({ topic })
      for (const one of told.brokers) nodes.set(one.id, one)
      const { partitions } = told.topics.find(one => one.name === topic)
      leaders[topic] = partitions.sort((a, b) => a.id - b.id).map(one => one.leader)
    }
    return { nodes: [...nodes.values()].map(({ id, host, port }) => ({ id, host, port })), leaders }
  }

  async writer ({ acks, codec = 'none', idempotent = false, make = false }) {
    const options = { dr_cb: true, 'enable.idempotence': idempotent, 'linger.ms': 20, 'message.max.bytes': 3_000_000, 'allow.auto.create.topics': make, ...this.options }
    const producer = await this.connected(new Producer(options, { acks, 'compression.codec': codec, 'message.timeout.ms': 15_000 }))
    producer.setPollInterval(10)
    producer.on('delivery-report', (error, { opaque }) => opaque(error))
    const sent = ({ topic, partition, key, value, headers = [], time }) => new Promise((resolve, reject) => {
      const done = error => error ? reject(error) : resolve()
      producer.produce(topic, partition, Buffer.from(value), key, time, done, headers.map(([key, value]) => ({ [key]: value })))
    })
    return { send: records => Promise.all(records.map(sent)), close: () => over(producer) }
  }

  async ends (topic, partition) {
    const { lowOffset, highOffset } = await this.asked('none', 'queryWatermarkOffsets', topic, partition, TO_ANSWER)
    return [lowOffset, highOffset]
  }

  async offsetAt (topic, partition, ms) {
    const [found] = await this.asked('none', 'offsetsForTimes', [{ topic, partition, offset: ms }], TO_ANSWER)
    return found.offset
  }

  async reader (group, topic, partitions, from) {
    const basket = new Basket()
    const consumer = await this.consumer(group, { 'enable.partition.eof': true })
    const atEnd = new Promise(resolve => consumer.once('partition.eof', resolve))
    consumer.assign(partitions.map(partition => ({ topic, partition, offset: ENDS[from] ?? from })))
    const stop = reading(consumer, message => basket.put(record(message)))
    // Who is at the end knows where it is.
    if (from === 'latest') await atEnd
    const seek = async (partition, offset) => {
      basket.from(partition, offset)
      await promisify(consumer.seek.bind(consumer))({ topic, partition, offset }, TO_ANSWER)
    }
    const close = async () => {
      await stop()
      // Else it waits for ever for its partitions to be given back.
      consumer.unassign()
      await over(consumer)
    }
    return { basket, seek, close }
  }

  async join (group, topics, took, { instance, cooperative }) {
    const strategy = cooperative ? 'cooperative-sticky' : 'range'
    const options = { rebalance_cb: true, 'partition.assignment.strategy': strategy, 'heartbeat.interval.ms': 300, 'session.timeout.ms': 30_000 }
    if (instance !== undefined) options['group.instance.id'] = instance
    const consumer = await this.consumer(group, options, { 'auto.offset.reset': 'earliest' })
    consumer.subscribe(topics)
    const stop = reading(consumer, message => {
      took(record(message))
      consumer.commitMessage(message)
    })
    const has = () => consumer.isConnected() ? consumer.assignments().map(({ topic, partition }) => [topic, partition]) : []
    const leave = async () => {
      await stop()
      await over(consumer)
    }
    return { has, leave }
  }

  async committed (group, places) {
    const all = await this.asked(group, 'committed', places.map(([topic, partition]) => ({ topic, partition })), TO_ANSWER)
    return places.map(([topic, partition]) => all.find(one => one.topic === topic && one.partition === partition).offset ?? -1)
  }
}

// Reads until it is told to stop. (It can read on a thread of its own, too, and does not always end then.)
function reading (consumer, took) {
  const next = promisify(consumer.consume.bind(consumer))
  let goesOn = true
  consumer.setDefaultConsumeTimeout(50)
  const over = (async () => {
    while (goesOn) (await next(100).catch(() => [])).forEach(took)
  })()
  return () => {
    goesOn = false
    return over
  }
}

const over = client => promisify(client.disconnect.bind(client))()

function record ({ topic, partition, offset, key, value, headers = [] }) {
  const pairs = headers.flatMap(Object.entries).map(([key, value]) => [key, String(value)])
  return { topic, partition, offset, key: key && String(key), value: String(value), bytes: value, headers: pairs }
}
