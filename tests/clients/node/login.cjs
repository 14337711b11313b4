// Logs in with kafkajs and writes records: login.cjs BOOTSTRAP MECHANISM USER PASSWORD TOPIC SECONDS; see ../python/login.py.
'use strict'

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
const { Kafka, logLevel } = require('kafkajs')

async function main ([servers, mechanism, username, password, topic, seconds]) {
  const sasl = { mechanism: mechanism.toLowerCase(), username, password }
  const kafka = new Kafka({ clientId: 'login', brokers: servers.split(','), sasl, logLevel: logLevel.NOTHING, retry: { retries: 2 } })
  const producer = kafka.producer()
  await producer.connect()
  const end = Date.now() + Number(seconds) * 1000
  let done = 0
  while (done === 0 || Date.now() < end) {
    await producer.send({ topic, messages: [{ value: 'x' }] })
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
