// The scenarios of Node's clients: `main.js LIBRARY SCENARIO... --bootstrap HOST:PORT --topics T1,T2 --groups G1,G2
// [--log FILE] [--cut FILE]`. The scenarios are the same for each library and go through what `stage.js` says of one.
//
// Each scenario makes topics named after T1 and T2, and prints one line of JSON: what an application saw (`result`, in
// which nothing varies from run to run) and what only a test of addresses wants (`raw`). The exit code is 1 when a scenario could not be played to its end.

import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import * as groups from './scenes/groups.js'
import * as offsets from './scenes/offsets.js'
import * as records from './scenes/records.js'
import * as topics from './scenes/topics.js'
import { Stage } from './stage.js'

const DEADLINE = 100_000
const AT_ONCE = 4
const scenes = { ...groups, ...offsets, ...records, ...topics }

const words = process.argv.slice(2)
const given = { topics: '', groups: '' }
const names = []
while (words.length > 0) {
  const word = words.shift()
  if (word.startsWith('--')) given[word.slice(2)] = words.shift()
  else names.push(word)
}
const { connect } = await import(`./${names.shift()}.js`)
const log = line => given.log && appendFileSync(given.log, line + '\n')
// What a library throws where nobody can catch it.
const astray = []
process.on('unhandledRejection', error => astray.push(String(error?.stack ?? error)))
process.on('uncaughtException', error => astray.push(String(error?.stack ?? error)))

let good = true
await Promise.all(Array.from({ length: AT_ONCE }, async () => {
  while (names.length > 0) await perform(names.shift())
}))
for (const error of astray) console.error(`astray: ${error}`)
// Whatever a library leaves running ends here.
process.exit(good ? 0 : 1)

async function perform (name) {
  const started = Date.now()
  const named = list => list.split(',').map(one => `${one}.${name}`)
  const stage = new Stage(name, named(given.topics), named(given.groups), given.cut)
  stage.client = connect(given.bootstrap, `scenario-${name}`, log)
  let failed
  try {
    const late = sleep(DEADLINE, null, { ref: false }).then(() => { throw new Error(`not done within ${DEADLINE} ms`) })
    await Promise.race([scenes[name.replaceAll('-', '_')](stage), late])
  } catch (error) {
    failed = String(error)
    console.error(`${name}: ${error?.stack}`, error?.errors ?? '', error?.cause ?? '')
    good = false
  }
  const saw = failed === undefined ? { result: stage.result } : { failed, until_then: stage.result }
  console.log(JSON.stringify({ scenario: name, ...saw, raw: stage.raw, millis: Date.now() - started }))
  await Promise.race([stage.client.close().catch(() => {}), sleep(2000)])
}
