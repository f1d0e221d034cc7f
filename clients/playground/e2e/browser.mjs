/** Chromium with a fresh profile that can reach 127.0.0.1 only, and a note of what it asked for. */

import { chromium } from 'playwright-core'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
]

/** Opens the playground of `server` and waits for its schema. `seen` grows while the page lives. */
export async function openPlayground(server) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
  })
  const page = await browser.newPage({ viewport: { width: 1600, height: 1000 }, locale: 'zh-CN' })
  const seen = { requests: 0, otherHosts: [], sockets: [], errors: [] }
  await page.context().route(/^(?!data:|blob:)/, (route) => {
    const { hostname } = new URL(route.request().url())
    if (hostname === '127.0.0.1') {
      seen.requests += 1
      return route.continue()
    }
    seen.otherHosts.push(route.request().url())
    return route.abort()
  })
  page.on('websocket', (socket) => seen.sockets.push(socket.url()))
  page.on('console', (message) => message.type() === 'error' && seen.errors.push(message.text()))
  page.on('pageerror', (error) => seen.errors.push(String(error)))
  await page.goto(`${server}/playground`)
  await page.locator('.graphiql-query-editor .monaco-editor').first().waitFor()
  return { browser, page, seen }
}
