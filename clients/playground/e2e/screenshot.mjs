/**
 * Types a chat subscription into the playground of a running server, waits until the reply has
 * finished, and writes a picture: node e2e/screenshot.mjs [picture.png] [http://127.0.0.1:8000]
 *
 * Every other host is blocked. Fails when one was asked for, when the console shows an error, or
 * when the reply does not finish. CHROMIUM names the browser.
 */

import assert from 'node:assert/strict'

import { openPlayground } from './browser.mjs'

const [picture = 'playground.png', server = 'http://127.0.0.1:8000'] = process.argv.slice(2)
const REPLY_TIMEOUT_MS = 120_000
const CHAT = `subscription {
  chat(input: { text: "拼团没成功钱什么时候退", clientId: "picture-${Date.now()}" }) {
    __typename
    ... on ChatStreamEvent { seq }
    ... on ChatCard { title rows { label value } }
    ... on ChatDelta { text }
    ... on ChatCitation { documentCode clauseNo title }
    ... on ChatChoice { prompt }
    ... on ChatDone { writer model cardMs firstTextMs totalMs }
    ... on ChatFailed { code }
  }
}`

const { browser, page, seen } = await openPlayground(server)
try {
  await page.getByLabel('身份 sign in as').selectOption('consumer-1')
  // the select shows whom the headers editor holds a token of, so this waits for the sign-in
  await page.waitForFunction(() => document.querySelector('select').value === 'consumer-1')
  const editor = page.locator('.graphiql-query-editor .monaco-editor').first()
  await editor.click()
  await page.keyboard.press('ControlOrMeta+A')
  await page.keyboard.insertText(CHAT.replaceAll(/\s+/g, ' ')) // the editor indents new lines by itself
  await page.getByRole('button', { name: 'Prettify' }).click()
  await page.locator('.graphiql-execute-button').click()

  const answer = page.locator('.graphiql-response')
  await answer.getByText('已结束 finished').waitFor({ timeout: REPLY_TIMEOUT_MS })
  await answer.getByText('ChatDone').first().waitFor()
  await page.screenshot({ path: picture })

  assert.deepEqual(seen.sockets, [`${server.replace('http', 'ws')}/graphql`])
  assert.deepEqual(seen.otherHosts, [])
  assert.deepEqual(seen.errors, [])
  console.log(`${picture}: finished; ${seen.requests} requests here, 0 to other hosts`)
} finally {
  await browser.close()
}
