/** graphql-http's audits of a server, all of them: a notice or a warning is a failure here. */

import assert from 'node:assert/strict'

import { serverAudits } from 'graphql-http'

import { check } from './check.mjs'

const AUDITS = 61

export async function checkHttp({ url }) {
  const audits = serverAudits({ url: `${url}/graphql`, fetchFn: fetch })
  await check(`graphql-http has ${AUDITS} audits`, () => assert.equal(audits.length, AUDITS))
  for (const audit of audits) {
    await check(`${audit.id} ${audit.name}`, async () => {
      const result = await audit.fn()
      assert.equal(result.status, 'ok', `${result.status}: ${result.reason}`)
      await result.response?.body?.cancel()
    })
  }
}
