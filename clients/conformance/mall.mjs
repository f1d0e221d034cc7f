/** What the checks ask of the mall: a shopper with a token, and a conversation that says things. */

import { randomUUID } from 'node:crypto'

export const EVENTS = `subscription($id: ID!, $after: String) {
  chatEvents(conversationId: $id, after: $after) {
    __typename
    ... on ChatStreamEvent { cursor messageId }
  }
}`
const SIGN_IN = `mutation($code: String!) {
  loginWithCode(input: {platform: DEV, code: $code}) { ... on Session { token } }
}`
const SEND = `mutation($input: SendMessageInput!) {
  sendMessage(input: $input) {
    __typename
    ... on ChatTurn { after conversation { id } message { id } }
  }
}`

export class Shopper {
  static async signedIn(url, code = 'consumer-1') {
    const shopper = new Shopper()
    shopper.url = `${url}/graphql`
    shopper.token = (await shopper.ask(SIGN_IN, { code })).loginWithCode.token
    return shopper
  }

  get headers() {
    return this.token ? { authorization: `Bearer ${this.token}` } : {}
  }

  async ask(query, variables) {
    const answer = await fetch(this.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...this.headers },
      body: JSON.stringify({ query, variables }),
    })
    const { data, errors } = await answer.json()
    if (errors) throw new Error(JSON.stringify(errors))
    return data
  }

  /** Says something; the ids of conversation and message, and the cursor before its events. */
  async say(text = '包邮吗') {
    const input = { text, clientId: randomUUID(), conversationId: this.conversation }
    const { sendMessage } = await this.ask(SEND, { input })
    if (sendMessage.__typename !== 'ChatTurn') throw new Error(JSON.stringify(sendMessage))
    this.conversation = sendMessage.conversation.id
    return { ...sendMessage, message: sendMessage.message.id }
  }
}
