/**
 * Runs every check against a server of its own: node run.mjs ../../.venv/bin/jishi [http|sse|websocket]
 *
 * Ends with 1 when one fails or when the server has logged a traceback.
 */

import assert from 'node:assert/strict'
import { resolve } from 'node:path'

import { check, tally } from './check.mjs'
import { checkHttp } from './http.mjs'
import { startServer } from './server.mjs'
import { checkSse } from './sse.mjs'
import { checkFrames } from './frames.mjs'
import { checkWebsocket } from './websocket.mjs'

const SETS = { http: [checkHttp], sse: [checkSse], websocket: [checkWebsocket, checkFrames] }
const [program = '../../.venv/bin/jishi', only] = process.argv.slice(2)
const sets = only ? SETS[only] : Object.values(SETS).flat()
assert.ok(sets, `there is ${Object.keys(SETS).join(', ')}`)

const server = await startServer(resolve(program))
try {
  for (const set of sets) await set(server)
} finally {
  await server.stop()
}
await check('the server has logged no traceback', () => {
  const lines = server.log().split('\n')
  assert.deepEqual(lines.filter((line) => /traceback|"level":"ERROR"/i.test(line)), [])
})
const { passed, failed } = tally()
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
