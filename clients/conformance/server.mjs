/** A server of our own: a seeded database in a folder that goes away, no model, its log kept. */

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const STARTS_WITHIN_MS = 120_000

export async function startServer(program) {
  const folder = mkdtempSync(join(tmpdir(), 'jishi-conformance-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const log = []
  const child = spawn(program, ['serve', '--ready'], {
    env: {
      ...process.env,
      JISHI_DEV: '1',
      JISHI_MODEL: 'none',
      JISHI_DATABASE_URL: `sqlite:///${join(folder, 'mall.db')}`,
      JISHI_HOST: '127.0.0.1',
      JISHI_PORT: String(port),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  child.stderr.setEncoding('utf8').on('data', (text) => log.push(text))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await ready(url, child)
  } catch (error) {
    await stop()
    throw new Error(`${error.message}\n${log.join('')}`)
  }
  return { url, stop, log: () => log.join('') }
}

async function ready(url, child) {
  const until = Date.now() + STARTS_WITHIN_MS
  while (Date.now() < until) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`)
    const answer = await fetch(`${url}/readyz`).catch(() => null)
    if (answer?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error('the server is not ready')
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}
