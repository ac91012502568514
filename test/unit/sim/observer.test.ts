import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { MESSAGES, PARTS } from '#sim/log-texts'
import type { LogLine } from '#sim/logger'
import { Observer } from '#sim/observer'

const RUNTIME = fileURLToPath(new URL('../../../runtime', import.meta.url))
const sources = readdirSync(RUNTIME, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => withoutComments(readFileSync(join(RUNTIME, name), 'utf8')))
const occurs = (text: string): boolean => sources.some((source) => source.includes(text))

function withoutComments(source: string): string {
  const lines = source.split('\n')
  return lines.filter((line) => !/^\s*(\/\/|\/\*\*|\*)/.test(line)).join('\n')
}

describe('texts of the log that the simulation knows', () => {
  it.each(Object.values(MESSAGES))('the runtime logs "%s"', (message) => {
    expect(occurs(`'${message}'`)).toBe(true)
  })

  it.each(Object.values(PARTS))('the runtime says "%s"', (part) => {
    expect(occurs(part)).toBe(true)
  })
})

const fromLookingTo = (phase: string, message: string): LogLine => ({
  level: 'info',
  message: MESSAGES.jobPhase,
  fields: { from: 'Looking', step: undefined, phase, message },
})

describe('a job that leaves Looking for Stopping', () => {
  it('has adopted an ending run when only commits are left', () => {
    const line = fromLookingTo('Stopping', 'attempt 2.1 goes on under epoch 3 to commit 14')
    expect(new Observer().read(line)).toEqual(['adopted an ending run'])
  })

  it('has not when a stop was held while it looked', () => {
    const line = fromLookingTo('Stopping', 'stopping with a savepoint')
    expect(new Observer().read(line)).toEqual([])
  })
})

it.each([
  ['the plan has changed', ['adoption refused']],
  ['attempt 2.1 does not run any more', ['adoption refused']],
  ['a subtask of attempt 2.1 runs twice', ['adoption refused']],
  ['only 3 of 4 subtasks of attempt 2.1 run', ['adoption refused']],
  ['the first deployment of this run', []],
])('a job is deployed anew because: %s', (why, states) => {
  const line = fromLookingTo('Deploying', `deploying attempt 3.1 (${why})`)
  expect(new Observer().read(line)).toEqual(states)
})
