// Logs in with kafkajs and writes records: login.cjs BOOTSTRAP MECHANISM USER PASSWORD TOPIC SECONDS; see ../python/login.py.
'use strict'

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
const { readFileSync } = require('fs')
const { Kafka, logLevel } = require('kafkajs')

function how (mechanism, username, password) {
  switch (mechanism) {
    case 'NONE': return undefined
    case 'OAUTHBEARER': return {
      mechanism: 'oauthbearer',
      oauthBearerProvider: async () => ({ value: readFileSync(password, 'utf8').trim() })
    }
    default: return { mechanism: mechanism.toLowerCase(), username, password }
  }
}

function tls () {
  const { LOGIN_CA: ca, LOGIN_PEM: own } = process.env
  if (!ca) return false
  const settings = { ca: [readFileSync(ca, 'utf8')] }
  return own ? { ...settings, cert: readFileSync(own, 'utf8'), key: readFileSync(own, 'utf8') } : settings
}

async function main ([servers, mechanism, user, password, topic, seconds]) {
  const sasl = how(mechanism, user, password)
  const kafka = new Kafka({ clientId: 'login', brokers: servers.split(','), ssl: tls(), sasl, logLevel: logLevel.NOTHING, retry: { retries: 2 } })
  const producer = kafka.producer()
  await producer.connect()
  const end = Date.now() + Number(seconds) * 1000
  let done = 0
  while (done === 0 || Date.now() < end) {
    await producer.send({ topic, messages: [{ value: `1/${done}` }] })
    done += 1
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  console.log(done)
  await producer.disconnect()
}

main(process.argv.slice(2)).then(() => process.exit(0), error => {
  console.error(String(error))
  process.exit(1)
})
