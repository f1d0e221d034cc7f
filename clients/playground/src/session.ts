/** Signing in with the development codes, and the two headers that say who asks. */

import type { ExecutionResult } from 'graphql'

export const ACCOUNTS = [
  { code: 'guest', label: '游客 guest' },
  { code: 'consumer-1', label: '消费者 consumer-1' },
  { code: 'distributor-1', label: '分销商 distributor-1' },
  { code: 'supplier-1', label: '供应商 supplier-1' },
  { code: 'agent-1', label: '客服 agent-1' },
  { code: 'admin-1', label: '平台 admin-1' },
] as const

export type Account = (typeof ACCOUNTS)[number]['code']
export type HeaderFields = Record<string, string>

const LOGIN = `mutation SignIn($code: String!) {
  loginWithCode(input: { platform: DEV, code: $code }) {
    ... on Session { token }
    ... on Problem { message }
  }
}`

const owners = new Map<string, Account>() // token -> who holds it, to show it in the select

/** The account that the headers stand for; undefined for a token typed in by hand. */
export function accountOf(headers: HeaderFields): Account | undefined {
  const authorization = headers['Authorization']
  return authorization === undefined ? 'guest' : owners.get(authorization)
}

/** The headers of the editor; an unfinished edit counts as none. */
export function readHeaders(text: string): HeaderFields {
  try {
    const value: unknown = JSON.parse(text || '{}')
    return typeof value === 'object' && value !== null ? (value as HeaderFields) : {}
  } catch {
    return {}
  }
}

/**
 * The headers after signing in as `account`, everything else in them kept.
 *
 * A guest's cart is merged, so its token goes along once and then away.
 * Throws an Error with the server's words when it refuses the code.
 */
export async function signIn(account: Account, before: HeaderFields): Promise<HeaderFields> {
  const { Authorization: _old, ...others } = before
  if (account === 'guest') return others
  const { 'X-Guest-Token': guest, ...kept } = others
  const answer = await post(LOGIN, { code: account }, guest ? { 'X-Guest-Token': guest } : {})
  const session = answer.data?.['loginWithCode'] as { token?: string; message?: string } | undefined
  if (session?.token === undefined) {
    throw new Error(session?.message ?? answer.errors?.[0]?.message ?? '登录失败 sign-in failed')
  }
  const authorization = `Bearer ${session.token}`
  owners.set(authorization, account)
  return { ...kept, Authorization: authorization }
}

/** One operation over HTTP; refusals of the server are answers with `errors` too. */
export async function post(
  query: string,
  variables: unknown,
  headers: HeaderFields,
  operationName?: string | null,
): Promise<ExecutionResult> {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json', ...headers },
    body: JSON.stringify({ query, variables, operationName }),
  })
  return (await response.json()) as ExecutionResult
}
