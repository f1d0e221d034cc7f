/**
 * Opens and runs every example against a running server, in the order of the list, and fails when
 * one answers with `errors`: node e2e/examples.mjs [http://127.0.0.1:8000]
 *
 * It changes what it touches: use a database made for it. A refusal (`...Problem`) is an answer.
 */

import assert from 'node:assert/strict'

import { openPlayground } from './browser.mjs'

const [server = 'http://127.0.0.1:8000'] = process.argv.slice(2)
const { browser, page, seen } = await openPlayground(server)
const failed = []
try {
  const names = await page
    .locator('[data-example]')
    .evaluateAll((buttons) => buttons.map((button) => button.dataset.example))
  assert.ok(names.length >= 20)
  for (const name of names) {
    const answer = await run(name)
    const isFine = answer.length > 0 && !answer.includes('"errors":')
    if (!isFine) failed.push(name)
    console.log(`${isFine ? 'ok    ' : 'FAILED'} ${name}: ${summary(answer)}`)
  }
} finally {
  await browser.close()
}
assert.deepEqual(seen.otherHosts, [])
assert.deepEqual(failed, [])

/** The answer's text without its blanks; of a subscription what has come within five seconds. */
async function run(name) {
  await page.locator(`[data-example="${name}"]`).click()
  await page.locator(`[data-open="${name}"]`).waitFor()
  const socketsBefore = seen.sockets.length
  const answered = page.waitForResponse(`${server}/graphql`, { timeout: 5000 }).catch(() => null)
  await page.locator('.graphiql-execute-button').click()
  const response = await answered
  if (response !== null) return (await response.text()).replaceAll(/\s/g, '')
  assert.equal(seen.sockets.length, socketsBefore + 1)
  const text = page.locator('.graphiql-response')
  await text.getByText('__typename').first().waitFor()
  const shown = await text.innerText()
  const stop = page.locator('.graphiql-execute-button[aria-label^="Stop"]')
  if (await stop.count()) await stop.click()
  return shown.replaceAll(/\s/g, '')
}

function summary(answer) {
  const types = [...answer.matchAll(/"__typename":"(\w+)"/g)].map(([, type]) => type)
  return [...new Set(types)].join(' ') || `${answer.length} bytes`
}
