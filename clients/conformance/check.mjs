/** One line for each check, and how many have failed. */

const SLOWEST_MS = 30_000
let passed = 0
let failed = 0

export async function check(name, work) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${SLOWEST_MS} ms`)), SLOWEST_MS)
  })
  try {
    await Promise.race([work(), late])
    passed += 1
    console.log(`ok     ${name}`)
  } catch (error) {
    failed += 1
    console.log(`FAILED ${name}: ${String(error?.message ?? error).replaceAll('\n', ' ').slice(0, 400)}`)
  } finally {
    clearTimeout(timer)
  }
}

export function tally() {
  return { passed, failed }
}
