import { describe, expect, test } from 'vitest'
import { toErrorData, WeirError } from '#runtime/base/errors'
import { emptyLog, foldRecord, type LogState } from '#runtime/commit-log/log-state'
import type { LogBody, RunEnd } from '#runtime/contract/checkpoint-records'
import { stopResult } from '#runtime/job-manager/stop-result'

const STORE = 's3://bucket/job'
const sha256 = 'ab'.repeat(32)
const PAST: LogBody[] = [
  { kind: 'OWNER', cluster: 'c', namespace: 'n', name: 'j', uid: 'u' },
  { kind: 'EPOCH_OPEN', epoch: 1, run: 1, leader: 'jm' },
  { kind: 'DEPLOY', attempt: '1.1', run: 1, planHash: 'p', restoreFrom: { kind: 'empty' }, why: '' },
]
const checkpoint = (id: number, end?: RunEnd): LogBody => ({
  kind: 'CHECKPOINT',
  id,
  epoch: 1,
  attempt: '1.1',
  base: 0,
  manifest: `chk/${id}-1/manifest.json`,
  sha256,
  sizeBytes: 10 * id,
  deltaBytes: 1,
  committedUpTo: id,
  retires: [],
  stats: {},
  ...(end === undefined ? {} : { end }),
})
const savepoint = (id: number, path: string, end?: RunEnd): LogBody => ({
  kind: 'SAVEPOINT',
  id,
  path,
  sha256,
  sizeBytes: 7,
  attempt: '1.1',
  ...(end === undefined ? {} : { end, manifest: `chk/${id}-1/manifest.json` }),
})
const logOf = (...bodies: LogBody[]): LogState =>
  [...PAST, ...bodies].reduce(
    (log, body, seq) =>
      foldRecord(log, { v: 1, seq, epoch: body.kind === 'OWNER' ? 0 : 1, at: seq, nonce: '', body }),
    emptyLog,
  )

const stop = (how: { path?: string; withSavepoint?: boolean; drain?: boolean } = {}) => ({
  triggerId: 't',
  savepoint: how.withSavepoint === true || how.path !== undefined ? { path: how.path } : undefined,
  drain: how.drain ?? false,
})
const closed = (status: RunEnd) => ({ kind: 'closed', status }) as const
const of = (log: LogState) => ({ log, storeUrl: STORE })

describe('what a stop is told', () => {
  test('with a checkpoint: the newest one', () => {
    const log = logOf(checkpoint(1), checkpoint(2, 'Suspended'))
    expect(stopResult(stop(), closed('Suspended'), of(log))).toEqual({
      checkpointId: 2,
      path: 's3://bucket/job/chk/2-1',
      sizeBytes: 20,
    })
  })

  test('with a checkpoint, where another stop took a savepoint: that savepoint', () => {
    const log = logOf(checkpoint(1), savepoint(2, 's3://mine/a', 'Suspended'))
    expect(stopResult(stop(), closed('Suspended'), of(log))).toMatchObject({ path: 's3://mine/a' })
  })

  test('before there was any checkpoint: nothing', () => {
    expect(stopResult(stop(), closed('Suspended'), of(logOf()))).toEqual({})
    const restored: LogBody = {
      kind: 'DEPLOY',
      attempt: '1.2',
      run: 1,
      planHash: 'p',
      restoreFrom: { kind: 'savepoint', path: 's3://theirs/a', lineage: 'fork', committedUpTo: 0 },
      why: '',
    }
    expect(stopResult(stop(), closed('Suspended'), of(logOf(restored)))).toEqual({})
  })

  test.each([
    ['no place', undefined, 's3://bucket/job/savepoints/2-1'],
    ['a key', 'mine', 's3://bucket/job/mine'],
    ['a URL', 's3://other/mine', 's3://other/mine'],
  ])('with a savepoint at %s: where it is', (_, path, url) => {
    const log = logOf(checkpoint(1), savepoint(2, url, 'Suspended'))
    const asked = path === undefined ? stop({ withSavepoint: true }) : stop({ path })
    expect(stopResult(asked, closed('Suspended'), of(log))).toEqual({
      checkpointId: 2,
      path: url,
      sizeBytes: 7,
    })
  })
})

describe('a stop has failed', () => {
  const told = (...args: Parameters<typeof stopResult>): string => {
    const result = stopResult(...args)
    return result instanceof WeirError ? result.message : JSON.stringify(result)
  }

  test('when it was refused, for the reason given', () => {
    const error = toErrorData(new WeirError('CKP_DECLINED', 'not now'))
    expect(told(stop(), { kind: 'failed', error }, of(logOf()))).toBe('not now')
  })

  test('with a savepoint, when the run ended without one', () => {
    const log = logOf(savepoint(1, 's3://mine/before'), checkpoint(2, 'Finished'))
    expect(told(stop({ withSavepoint: true }), closed('Finished'), of(log))).toBe(
      'The run has ended as Finished, but no savepoint was taken: another request came first.',
    )
  })

  test('with a savepoint, when it is elsewhere', () => {
    const log = logOf(savepoint(1, 's3://mine/a', 'Suspended'))
    expect(told(stop({ path: 's3://mine/b' }), closed('Suspended'), of(log))).toMatch(
      /its savepoint is at s3:\/\/mine\/a, not at s3:\/\/mine\/b/,
    )
  })

  test('with draining, when the run was suspended', () => {
    const log = logOf(checkpoint(1, 'Suspended'))
    expect(told(stop({ drain: true }), closed('Suspended'), of(log))).toMatch(/it was not drained/)
  })

  test('with a savepoint to resume from, when the run was drained', () => {
    const log = logOf(savepoint(1, 's3://mine/a', 'Drained'))
    expect(told(stop({ path: 's3://mine/a' }), closed('Drained'), of(log))).toMatch(/it was drained/)
    expect(told(stop({ path: 's3://mine/a', drain: true }), closed('Drained'), of(log))).toMatch(/"path"/)
  })
})
