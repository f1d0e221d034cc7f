/** Frames that no client sends: the socket that sends them closes, no other one notices. */

import assert from 'node:assert/strict'

import WebSocket from 'ws'

import { check } from './check.mjs'
import { EVENTS, Shopper } from './mall.mjs'

const QUERY = { query: '{ viewer { role } }' }
const MESSAGES_EACH = 8 // a shopper may say some twenty things a minute
const NO_MESSAGES = {
  '[]': '[]',
  5: '5',
  null: 'null',
  'a text': '"x"',
  'no JSON': '{',
  'an empty object': '{}',
  'an unknown type': '{"type": "start"}',
  'an id that is a list': JSON.stringify({ type: 'subscribe', id: ['a'], payload: QUERY }),
  'a payload that is null': '{"type": "subscribe", "id": "a", "payload": null}',
  'a query that is a number': '{"type": "subscribe", "id": "a", "payload": {"query": 5}}',
  'ten thousand brackets': '['.repeat(10_000),
  'a number of 5,000 digits': `{"type": "ping", "payload": ${'9'.repeat(5000)}x}`,
  bytes: Buffer.from('{"type": "ping"}'),
}

export async function checkFrames({ url }) {
  let shopper, watching
  let checks = 0
  const goesOn = (name, work) =>
    check(name, async () => {
      if (checks % MESSAGES_EACH === 0) {
        watching?.raw.socket.close()
        shopper = await Shopper.signedIn(url, `consumer-${3 + checks / MESSAGES_EACH}`)
        await shopper.say()
        watching = await Watcher.opened(shopper)
      }
      checks += 1
      await work()
      await watching.goesOn(shopper)
    })

  for (const [name, frame] of Object.entries(NO_MESSAGES)) {
    await goesOn(`raw frames: ${name} closes with 4400, the others go on`, async () => {
      const raw = await Raw.initialised(shopper)
      raw.send(frame)
      assert.equal(await raw.closed, 4400)
    })
  }

  await goesOn('raw frames: text that is not UTF-8 closes, the others go on', async () => {
    const raw = await Raw.initialised(shopper)
    raw.socket._sender.sendFrame([Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe])], () => {})
    assert.ok([1007, 4400].includes(await raw.closed), String(await raw.closed))
  })

  await goesOn('raw frames: 2 MB close with 1009, the others go on', async () => {
    const raw = await Raw.initialised(shopper)
    raw.send(`{"type": "ping", "payload": {"x": "${'y'.repeat(2 * 1024 * 1024)}"}}`)
    assert.ok([1009, 1006].includes(await raw.closed), String(await raw.closed))
  })

  await goesOn('raw frames: an operation before the init closes with 4401', async () => {
    const raw = await Raw.opened(shopper)
    raw.send({ type: 'subscribe', id: '1', payload: QUERY })
    assert.equal(await raw.closed, 4401)
  })

  await goesOn('raw frames: no init closes with 4408 after ten seconds', async () => {
    const began = Date.now()
    const raw = await Raw.opened(shopper)
    assert.equal(await raw.closed, 4408)
    const seconds = (Date.now() - began) / 1000
    assert.ok(seconds > 9 && seconds < 12, String(seconds))
  })

  await goesOn('raw frames: a second init closes with 4429', async () => {
    const raw = await Raw.initialised(shopper)
    raw.send({ type: 'connection_init' })
    assert.equal(await raw.closed, 4429)
  })

  await goesOn('raw frames: an id that is taken closes with 4409', async () => {
    const raw = await Raw.initialised(shopper)
    const payload = { query: EVENTS, variables: { id: shopper.conversation } }
    raw.send({ type: 'subscribe', id: '1', payload })
    raw.send({ type: 'subscribe', id: '1', payload })
    assert.equal(await raw.closed, 4409)
  })

  await goesOn('raw frames: of 200 streams 50 begin, the rest are told by their ids', async () => {
    const raw = await Raw.initialised(shopper)
    const variables = { id: shopper.conversation }
    for (let number = 0; number < 200; number += 1) {
      raw.send({ type: 'subscribe', id: String(number), payload: { query: EVENTS, variables } })
    }
    const refused = new Set()
    const begun = new Set()
    while (refused.size < 150 || begun.size < 50) {
      const { id, type, payload } = await raw.next()
      if (type === 'error') {
        assert.equal(payload[0].extensions.code, 'TOO_MANY_STREAMS')
        refused.add(id)
      } else {
        begun.add(id)
      }
    }
    assert.deepEqual([refused.size, begun.size], [150, 50])
    raw.socket.close()
    await raw.closed
  })

  await goesOn('raw frames: a wrong operation leaves the streams of its own socket', async () => {
    watching.raw.send({ type: 'subscribe', id: 'wrong', payload: { query: '{ nothing' } })
    const { type } = await watching.next('wrong')
    assert.equal(type, 'error')
  })

  watching.raw.socket.close()
  await watching.raw.closed
}

/** A socket on which frames can be sent that no client would send. */
class Raw {
  static async opened(shopper) {
    const raw = new Raw()
    raw.frames = []
    raw.waiting = []
    raw.socket = new WebSocket(shopper.url.replace('http', 'ws'), 'graphql-transport-ws')
    raw.closed = new Promise((resolve) => {
      raw.socket.on('close', resolve)
      raw.socket.on('error', () => {})
    })
    raw.socket.on('message', (text) => {
      const frame = JSON.parse(text)
      const wanted = raw.waiting.shift()
      if (wanted) wanted(frame)
      else raw.frames.push(frame)
    })
    await new Promise((resolve) => raw.socket.once('open', resolve))
    return raw
  }

  static async initialised(shopper) {
    const raw = await Raw.opened(shopper)
    raw.send({ type: 'connection_init', payload: shopper.headers })
    assert.equal((await raw.next()).type, 'connection_ack')
    return raw
  }

  send(frame) {
    const isRaw = typeof frame === 'string' || Buffer.isBuffer(frame)
    this.socket.send(isRaw ? frame : JSON.stringify(frame))
  }

  next() {
    if (this.frames.length) return Promise.resolve(this.frames.shift())
    return new Promise((resolve) => this.waiting.push(resolve))
  }
}

/** A well-behaved socket beside the others, and a shopper who makes something happen on it. */
class Watcher {
  static async opened(shopper) {
    const watcher = new Watcher()
    watcher.raw = await Raw.initialised(shopper)
    const variables = { id: shopper.conversation }
    watcher.raw.send({ type: 'subscribe', id: 'live', payload: { query: EVENTS, variables } })
    return watcher
  }

  async next(id) {
    for (;;) {
      const frame = await this.raw.next()
      if (frame.id === id) return frame
    }
  }

  async goesOn(shopper) {
    const { message } = await shopper.say()
    for (;;) {
      const { type, payload } = await this.next('live')
      assert.equal(type, 'next')
      const event = payload.data.chatEvents
      if (event.messageId === message && event.__typename === 'ChatDone') return
    }
  }
}
