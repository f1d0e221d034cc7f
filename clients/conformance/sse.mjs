/** npm graphql-sse in its mode of distinct connections, and what a browser's EventSource sends. */

import assert from 'node:assert/strict'

import { createClient } from 'graphql-sse'

import { check } from './check.mjs'
import { EVENTS, Shopper } from './mall.mjs'
import { until } from './websocket.mjs'

export async function checkSse({ url }) {
  const shopper = await Shopper.signedIn(url, 'consumer-2')
  await shopper.say()
  const connect = (headers = shopper.headers) =>
    createClient({ url: shopper.url, headers, retryAttempts: 0 })

  await check('graphql-sse: a query answers once and completes', async () => {
    const results = await all(connect().iterate({ query: '{ viewer { role } }' }))
    assert.deepEqual(results, [{ data: { viewer: { role: 'CONSUMER' } } }])
  })

  await check('graphql-sse: a stream shows what happens', async () => {
    const { message, after } = await shopper.say()
    const variables = { id: shopper.conversation, after }
    const events = connect().iterate({ query: EVENTS, variables })
    assert.equal((await until(events, message)).at(-1), 'ChatDone')
    await events.return()
  })

  await check('graphql-sse: a wrong document is told in the stream', async () => {
    const results = await all(connect().iterate({ query: '{ nothing }' }))
    assert.equal(results[0].errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED')
  })

  await check('graphql-sse: a refused token is told with its status', async () => {
    const told = all(connect({ authorization: 'Bearer x' }).iterate({ query: '{ viewer { role } }' }))
    await assert.rejects(told, (error) => error.response.status === 401)
  })

  await check('EventSource: ids carry cursors, Last-Event-ID goes on after one', async () => {
    const { message } = await shopper.say()
    const first = await read(shopper, {}, (event) => event.data.messageId === message)
    const rest = await read(
      shopper,
      { 'last-event-id': first.at(-1).id },
      (event) => event.data.__typename === 'ChatDone' && event.data.messageId === message,
    )
    const cursors = [...first, ...rest].map((event) => event.id)
    assert.equal(new Set(cursors).size, cursors.length)
    assert.equal(rest[0].data.messageId, message)
  })

  await check('EventSource: a cursor that is not ours is told in the stream', async () => {
    const events = await read(shopper, { 'last-event-id': 'nonsense' }, () => true)
    assert.equal(events[0].errors[0].extensions.code, 'BAD_CURSOR')
  })
}

/** Events of the conversation, from its beginning or a place, until one is the last wanted. */
async function read(shopper, headers, isLast) {
  const asked = new URL(shopper.url)
  asked.searchParams.set('query', EVENTS)
  asked.searchParams.set('variables', JSON.stringify({ id: shopper.conversation }))
  const leaving = new AbortController()
  const answer = await fetch(asked, {
    headers: { accept: 'text/event-stream', ...shopper.headers, ...headers },
    signal: leaving.signal,
  })
  const found = []
  let text = ''
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const parts = text.split('\n\n')
    text = parts.pop()
    for (const part of parts.filter((one) => one.includes('event: next'))) {
      const { data, errors } = JSON.parse(/^data: (.*)$/m.exec(part)[1])
      found.push({ id: /^id: (.*)$/m.exec(part)?.[1], data: data?.chatEvents, errors })
      if (isLast(found.at(-1))) {
        leaving.abort()
        return found
      }
    }
  }
  throw new Error('the stream has ended')
}

async function all(results) {
  const found = []
  for await (const result of results) found.push(result)
  return found
}
