// Scenarios about topics and the cluster as admin sees them.

import { offsetsAndValues } from './records.js'

export async function topics (s) {
  for (const topic of s.topics) s.saw(s.topicAlias(topic), await lifeCycle(s, topic))
}

async function lifeCycle (s, topic) {
  const { client } = s
  const create = (name, partitions, replicas, configs) => s.errorOf(client.create(name, partitions, configs, replicas))
  const knows = async () => (await client.topics()).includes(topic)
  const seen = { create: await create(topic, 3, 1, { 'cleanup.policy': 'compact', 'max.message.bytes': '123456' }) }
  await s.until('the topic is known', knows)
  await s.until('any broker tells its configs', async () => {
    const told = client.configs?.(topic, ['cleanup.policy', 'max.message.bytes'])
    return await s.errorOf(Promise.resolve(told).then(configs => { seen.configs = configs })) === 'none'
  })
  seen['create, existing'] = await create(topic, 3, 1, {})
  seen['create, too many replicas'] = await create(`${topic}.x`, 1, 20, {})
  seen['create, wrong config'] = await create(`${topic}.x`, 1, 1, { 'no.such.config': '1' })
  seen['create, wrong value'] = await create(`${topic}.x`, 1, 1, { 'retention.ms': 'soon' })
  seen['create, wrong name'] = await create(`${topic}.x y`, 1, 1, {})
  seen.grow = await s.errorOf(client.grow(topic, 5))
  seen.delete = await s.errorOf(client.remove(topic))
  await s.until('the topic is gone', async () => !await knows())
  seen['delete again'] = await s.errorOf(client.remove(topic))
  return seen
}

// What a library and Kafka make of a topic that is not there.
export async function unknown (s) {
  for (const topic of s.topics) {
    const record = { topic, partition: 0, value: 'v' }
    const seen = { listed: (await s.client.topics()).includes(topic) }
    if (s.client.configs) seen.configs = await s.errorOf(s.client.configs(topic, ['cleanup.policy']))
    seen.delete = await s.errorOf(s.client.remove(topic))
    seen.produce = await s.errorOf(s.send({ acks: -1 }, [record]))
    seen['produce and make'] = await s.errorOf(s.send({ acks: -1, make: true }, [record]))
    seen.read = offsetsAndValues((await s.read(topic, { 0: 1 }, 'earliest', () => {}))[0])
    s.saw(s.topicAlias(topic), seen)
  }
}

export async function cluster (s) {
  await s.create(3)
  const seen = await s.client.cluster(s.topics)
  const ids = seen.nodes.map(node => node.id)
  s.saw('ids differ', new Set(ids).size === ids.length)
  if (seen.controller !== undefined) s.saw('the controller is a node', ids.includes(seen.controller))
  s.saw('leaders are nodes', Object.values(seen.leaders).flat().every(leader => ids.includes(leader)))
  const leaders = Object.fromEntries(Object.entries(seen.leaders).map(([topic, all]) => [s.topicAlias(topic), all]))
  s.saw('partitions', Object.fromEntries(Object.entries(leaders).map(([topic, all]) => [topic, all.length])))
  Object.assign(s.raw, { nodes: seen.nodes, leaders })
  if (seen.id !== undefined) s.raw.cluster_id = seen.id
}
