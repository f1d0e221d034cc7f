/** The client that web pages use (npm graphql-ws) against our sockets. */

import assert from 'node:assert/strict'

import { createClient } from 'graphql-ws'
import WebSocket from 'ws'

import { check } from './check.mjs'
import { EVENTS, Shopper } from './mall.mjs'

export async function checkWebsocket({ url }) {
  const shopper = await Shopper.signedIn(url)
  await shopper.say()
  const connect = (more = {}) => {
    const { token = shopper.token, ...options } = more
    return createClient({
      url: `${shopper.url.replace('http', 'ws')}`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${token}` },
      retryAttempts: 5,
      retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
      ...options,
    })
  }

  await check('graphql-ws: a query answers once and completes', async () => {
    const client = connect()
    const results = await all(client.iterate({ query: '{ viewer { role } }' }))
    assert.deepEqual(results, [{ data: { viewer: { role: 'CONSUMER' } } }])
    await client.dispose()
  })

  await check('graphql-ws: a stream shows what happens', async () => {
    const client = connect()
    const { message, after } = await shopper.say()
    const kinds = await until(stream(client, shopper, after), message)
    assert.equal(kinds.at(-1), 'ChatDone')
    await client.dispose()
  })

  await check('graphql-ws: a stream goes on after the socket was cut', async () => {
    let socket
    let opened = 0
    const client = connect({
      on: {
        opened: (one) => {
          socket = one
          opened += 1
        },
      },
    })
    const events = stream(client, shopper, (await shopper.say()).after)
    await events.next()
    socket.terminate()
    const { message } = await shopper.say()
    assert.equal((await until(events, message)).at(-1), 'ChatDone')
    assert.equal(opened, 2)
    await client.dispose()
  })

  await check('graphql-ws: complete ends a stream and leaves the others', async () => {
    const client = connect({ lazy: false })
    const { after } = await shopper.say()
    const [first, second] = [stream(client, shopper, after), stream(client, shopper, after)]
    await Promise.all([first.next(), second.next()])
    await first.return()
    const { message } = await shopper.say()
    assert.equal((await until(second, message)).at(-1), 'ChatDone')
    await client.dispose()
  })

  await check('graphql-ws: a refused token is told in-band, with its code', async () => {
    const client = connect({ token: 'nonsense' })
    const told = all(client.iterate({ query: '{ viewer { role } }' }))
    await assert.rejects(told, (errors) => errors[0].extensions.code === 'INVALID_TOKEN')
    await client.dispose()
  })

  await check('graphql-ws: a wrong document is told in-band, and the socket goes on', async () => {
    const client = connect({ lazy: false, retryAttempts: 0 })
    const told = all(client.iterate({ query: '{ nothing }' }))
    await assert.rejects(told, (errors) => errors[0].message.includes('nothing'))
    const results = await all(client.iterate({ query: '{ viewer { role } }' }))
    assert.equal(results.length, 1)
    await client.dispose()
  })

  await check('graphql-ws: the old subprotocol is not spoken', async () => {
    const old = new WebSocket(shopper.url.replace('http', 'ws'), 'graphql-ws')
    const code = await new Promise((resolve) => {
      old.once('close', resolve)
      old.once('error', () => resolve('refused'))
    })
    assert.ok(code === 4406 || code === 'refused', String(code))
  })
}

function stream(client, shopper, after) {
  return client.iterate({ query: EVENTS, variables: { id: shopper.conversation, after } })
}

async function all(results) {
  const found = []
  for await (const result of results) found.push(result)
  return found
}

/** The kinds of a message's events up to the one that closes its answer. */
export async function until(events, message) {
  const kinds = []
  for (;;) {
    const { value, done } = await events.next()
    assert.ok(!done, 'the stream has ended')
    const event = value.data.chatEvents
    if (event.messageId !== message) continue
    kinds.push(event.__typename)
    if (['ChatDone', 'ChatFailed'].includes(event.__typename)) return kinds
  }
}
