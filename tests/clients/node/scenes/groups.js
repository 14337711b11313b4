// Scenarios about consumer groups: who reads what when members come and go, and what admin sees of it; also when every
// connection is cut.

import { setTimeout as sleep } from 'node:timers/promises'

const PARTITIONS = 4
const ALL = 2 * PARTITIONS

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
      const member = await s.client.join(group, s.topics, reads.took, {})
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

export const rebalance = s => twoMembers(s, {})
export const cooperative = s => twoMembers(s, { cooperative: true })

// One member, then two, then the other one alone.
async function twoMembers (s, how) {
  await s.create(PARTITIONS)
  for (const [g, group] of s.groups.entries()) {
    const reads = new Reads(s)
    let total = g * 3 * ALL
    const join = () => s.client.join(group, s.topics, reads.took, how)
    const round = async number => {
      await s.fill(`group-${g}-round-${number}`, PARTITIONS, 1)
      total += ALL
      await s.until('all is read', () => reads.all.size === total)
    }
    const first = await join()
    await s.until('the first has all', () => first.has().length === ALL)
    const seen = { alone: s.aliases(first.has()) }
    await round(0)
    const second = await join()
    await s.until('both have half', () => haveHalf(first, second))
    // Who has which partition each library decides by itself; only that each has its half.
    seen.two = s.aliases([...first.has(), ...second.has()])
    await round(1)
    await first.leave()
    await s.until('the second has all', () => second.has().length === ALL)
    await round(2)
    await second.leave()
    seen.committed = await s.client.committed(group, s.places(PARTITIONS))
    seen.records = reads.all.size
    s.saw(`group ${g + 1}`, seen)
  }
}

// Each its own: while a rebalance is under way, both may know of the same.
function haveHalf (one, other) {
  const places = new Set([...one.has(), ...other.has()].map(String))
  return one.has().length === PARTITIONS && other.has().length === PARTITIONS && places.size === ALL
}

// Static members are there again after a restart that is short enough.
async function staticMembers (s) {
  await s.create(PARTITIONS)
  for (const [g, group] of s.groups.entries()) {
    const reads = new Reads(s)
    const join = instance => s.client.join(group, s.topics, reads.took, { instance })
    const one = await join('one')
    const two = await join('two')
    await s.until('both have half', () => haveHalf(one, two))
    const seen = { both: s.aliases([...one.has(), ...two.has()]) }
    await two.leave()
    const again = await join('two')
    await s.until('two is back', () => haveHalf(one, again))
    seen['both again'] = s.aliases([...one.has(), ...again.has()])
    await again.leave()
    await one.leave()
    s.saw(`group ${g + 1}`, seen)
  }
}
export { staticMembers as static }

export async function groups (s) {
  await s.create(2)
  await s.fill('v', 2, 2)
  const listed = async group => (await s.client.groups()).filter(one => one === group).length
  const described = async group => {
    let found
    const error = await s.errorOf(s.client.group(group).then(group => { found = group }))
    const members = (found?.members ?? []).map(([client, has]) => `${client} has ${s.aliases(has)}`)
    return { state: found?.state, protocol: found?.protocol, members, error }
  }
  s.raw.coordinators = []
  for (const [g, group] of s.groups.entries()) {
    const reads = new Reads(s)
    const member = await s.client.join(group, s.topics, reads.took, {})
    await s.until('it has read all', () => reads.all.size === 8)
    const seen = { listed: await listed(group), described: await described(group) }
    seen['delete with a member'] = await s.errorOf(s.client.deleteGroup(group))
    await member.leave()
    await s.until('empty', async () => (await described(group)).state.toLowerCase() === 'empty')
    seen['listed, empty'] = await listed(group)
    seen['described, empty'] = await described(group)
    if (s.client.coordinator) s.raw.coordinators.push(await s.client.coordinator(group))
    seen.delete = await s.errorOf(s.client.deleteGroup(group))
    seen['listed, deleted'] = await listed(group)
    seen['delete again'] = await s.errorOf(s.client.deleteGroup(group))
    s.saw(`group ${g + 1}`, seen)
  }
  const none = `${s.groups[0]}-none`
  s.saw('describe unknown', await described(none))
  s.saw('delete unknown', await s.errorOf(s.client.deleteGroup(none)))
}

// A producer and a group at work while all connections are cut, once. What a producer that is not idempotent sends again
// may be there twice.
export async function cut (s) {
  const partitions = 2
  const count = 20
  const half = count * 2 * partitions
  await s.create(partitions)
  // A record that is there twice has two offsets.
  const read = new Set()
  const took = one => read.add(`${s.alias(one.topic, one.partition)} ${one.value}`)
  const member = await s.client.join(s.groups[1], s.topics, took, {})
  await s.until('the member has all', () => member.has().length === 2 * partitions)
  const writer = await s.client.writer({ acks: -1, idempotent: true })
  const errors = []
  const send = async part => {
    for (let i = 0; i < count; i++) {
      for (const [topic, partition] of s.places(partitions)) {
        const error = await s.errorOf(writer.send([{ topic, partition, value: `${part}-${i}` }]))
        if (error !== 'none') errors.push(error)
        await sleep(10)
      }
    }
  }
  await send(0)
  await s.until('the first half is read', () => read.size === half)
  const isCut = sleep(200).then(() => s.haveItCut())
  await send(1)
  await isCut
  await writer.close()
  await s.until('all is read by the group', () => read.size === 2 * half)
  s.saw('not acknowledged', errors)
  await member.leave()
  const wanted = Array.from({ length: 2 * count }, (_, i) => `${Math.floor(i / count)}-${i % count}`).join(' ')
  s.saw('read', await s.contents(partitions, records => {
    const values = records.map(one => one.value)
    const found = (s.client.isIdempotent ? values : values.filter((one, i) => one !== values[i - 1])).join(' ')
    return found === wanted ? 'all, in order' : found
  }))
}
