/** Validates every example operation against the committed schema; lists what is invalid and fails. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { buildSchema, parse, validate } from 'graphql'

const here = import.meta.dirname
const schema = buildSchema(readFileSync(join(here, '../../schema/schema.graphql'), 'utf8'))
const folder = join(here, 'src/examples')
const names = readdirSync(folder).filter((name) => name.endsWith('.graphql'))

const failures = names.flatMap((name) =>
  problems(readFileSync(join(folder, name), 'utf8')).map((problem) => `${name}: ${problem}`),
)
for (const failure of failures) console.error(failure)
console.log(`${names.length} examples, ${failures.length} problems`)
process.exit(names.length > 0 && failures.length === 0 ? 0 : 1)

function problems(text) {
  try {
    return validate(schema, parse(text)).map((error) => error.message)
  } catch (error) {
    return [error.message]
  }
}
