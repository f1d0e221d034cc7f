/** How GraphiQL reaches the server: HTTP for queries and mutations, a websocket for subscriptions. */

import type { Fetcher, FetcherParams, Observable } from '@graphiql/toolkit'
import {
  getOperationAST,
  parse,
  type ExecutionResult,
  type GraphQLError,
  type OperationDefinitionNode,
} from 'graphql'
import { createClient } from 'graphql-ws'

import { post, type HeaderFields } from './session'

const EVENTS_SHOWN = 200
const KEEP_ALIVE_MS = 20_000

export const fetcher: Fetcher = (given, options) => {
  const headers = (options?.headers ?? {}) as HeaderFields
  const operation = operationOf(given)
  const params = { ...given, operationName: operation?.name?.value ?? null }
  if (operation?.operation === 'subscription') return followed(params, headers)
  return post(params.query, params.variables, headers, params.operationName)
}

/**
 * The operation to run; undefined when the text is no GraphQL, which the server explains best.
 *
 * Just after an example was opened, GraphiQL may still name the operation that was there before.
 */
function operationOf({ query, operationName }: FetcherParams): OperationDefinitionNode | undefined {
  try {
    const document = parse(query)
    return getOperationAST(document, operationName) ?? getOperationAST(document) ?? undefined
  } catch {
    return undefined
  }
}

/**
 * Everything a subscription has said so far, newest event first: GraphiQL alone shows the last only.
 *
 * The headers travel as the payload of connection_init. Nothing is sent twice: a lost socket ends it.
 */
function followed(
  params: FetcherParams & { operationName: string | null },
  headers: HeaderFields,
): Observable<ExecutionResult> {
  return {
    subscribe(given: unknown) {
      const { next, error, complete } = given as Observer
      const transcript = new Transcript()
      const client = createClient({
        url: `${location.origin.replace(/^http/, 'ws')}/graphql`,
        connectionParams: Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
        ),
        retryAttempts: 0,
        keepAlive: KEEP_ALIVE_MS,
      })
      next(transcript.shown())
      const stop = client.subscribe<Record<string, unknown>>(
        params,
        {
          next: (event) => next(transcript.add(event as ExecutionResult)),
          error: (reason) => error(failure(reason)),
          complete: () => {
            next(transcript.finish())
            complete()
            void client.dispose()
          },
        },
      )
      return {
        unsubscribe() {
          stop()
          void client.dispose()
        },
      }
    },
  }
}

interface Observer {
  next(value: ExecutionResult): void
  error(reason: unknown): void
  complete(): void
}

/** The events of one subscription, and the text that its ChatDelta events add up to. */
class Transcript {
  private readonly events: unknown[] = []
  private count = 0
  private text = ''
  private isFinished = false

  add(result: ExecutionResult): ExecutionResult {
    const event = result.errors ? result : Object.values(result.data ?? {})[0]
    const { __typename, text } = (event ?? {}) as { __typename?: string; text?: string }
    if (__typename === 'ChatDelta') this.text += text ?? ''
    this.count += 1
    this.events.unshift(event)
    this.events.splice(EVENTS_SHOWN)
    return this.shown()
  }

  finish(): ExecutionResult {
    this.isFinished = true
    return this.shown()
  }

  shown(): ExecutionResult {
    return {
      subscription: this.isFinished ? '已结束 finished' : '接收中 listening',
      count: this.count,
      ...(this.text && { text: this.text }),
      events: [...this.events],
    } as ExecutionResult
  }
}

/** What broke, in a form that JSON can show: graphql-ws gives errors, a CloseEvent or an Error. */
function failure(reason: unknown): unknown {
  if (Array.isArray(reason)) return { errors: reason as GraphQLError[] }
  if (reason instanceof CloseEvent) return new Error(`websocket ${reason.code} ${reason.reason}`)
  return reason
}
