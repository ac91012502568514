import { expect, test } from 'vitest'
import { emptyLog } from '#runtime/commit-log/log-state'
import type { RestorePoint } from '#runtime/contract/checkpoint-records'
import { newAttempt, type Member } from '#runtime/job-manager/attempt'
import { deploymentOf } from '#runtime/job-manager/deployment'
import { planOf } from '#test/kit/job-world'

const member = (id: string, key = `${id}#1`): Member => ({
  key,
  id,
  slots: 1,
  dataAddress: `${id}:6124`,
  leaving: false,
})
const place = (subtask: number, taskManager: string) => ({ vertex: 'v', subtask, taskManager, slot: 0 })
const planned = {
  plan: planOf(2),
  parallelism: 2,
  maxParallelism: 128,
  module: { name: 'job.ts', source: '', sha256: '', args: {} },
}
const log = { ...emptyLog, committedUpTo: 7 }

function deployment(point: RestorePoint) {
  const members = [member('tm-1'), member('tm-2'), member('tm-3')]
  const attempt = newAttempt('1.2', [place(0, 'tm-1'), place(1, 'tm-2')], members)
  return deploymentOf({
    attempt,
    point,
    planned,
    members: [...members.slice(0, 1), member('tm-2', 'tm-2#2'), ...members.slice(1)],
    log,
  })
}

test('a deployment names the data addresses of the connections it was placed on, and of no others', () => {
  expect(deployment({ kind: 'empty' }).dataAddresses).toEqual({ 'tm-1': 'tm-1:6124', 'tm-2': 'tm-2:6124' })
})

test.each([
  ['the newest own point', { kind: 'empty' } as const, 7],
  [
    'an own savepoint that the run ended with',
    {
      kind: 'savepoint',
      path: 's3://a',
      manifest: 'chk/1',
      lineage: 'succession',
      committedUpTo: 0,
    } as const,
    7,
  ],
  [
    'an earlier point of its own',
    { kind: 'savepoint', path: 's3://a', lineage: 'rewind', committedUpTo: 0 } as const,
    0,
  ],
  [
    'the point of a job that has ended',
    { kind: 'savepoint', path: 's3://a', lineage: 'succession', committedUpTo: 3 } as const,
    3,
  ],
  [
    'the point of a job that may go on',
    { kind: 'savepoint', path: 's3://a', lineage: 'fork', committedUpTo: 0 } as const,
    0,
  ],
])('sinks that restore %s know up to where everything is committed', (_, point, committedUpTo) => {
  expect(deployment(point).sinks.committedUpTo).toBe(committedUpTo)
})
