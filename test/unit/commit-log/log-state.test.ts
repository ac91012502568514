import { describe, expect, test } from 'vitest'
import {
  emptyLog,
  foldRecord,
  type LogState,
  mayBeLogged,
  nextAttempt,
  withoutRetirements,
} from '#runtime/commit-log/log-state'
import type { LogBody, LogRecord } from '#runtime/contract/checkpoint-records'
import { checkpointBody, closeBody, deployBody, JOB, savepointBody } from '#test/kit/commit-log'

/** Folds bodies as one leader after the other would have written them. */
function fold(...bodies: LogBody[]): LogState {
  return bodies.reduce((state, body) => {
    const epoch = body.kind === 'EPOCH_OPEN' ? body.epoch : state.epoch
    const record: LogRecord = { v: 1, seq: state.head + 1, epoch, at: 1000 + state.head, nonce: 'n', body }
    return foldRecord(state, record)
  }, emptyLog)
}

const owner: LogBody = { kind: 'OWNER', ...JOB }
const open = (epoch: number, run = 1): LogBody => ({ kind: 'EPOCH_OPEN', epoch, run, leader: `jm-${epoch}` })
const close = closeBody('Suspended')
const started = [owner, open(1), deployBody('1.1')]

describe('restore point', () => {
  test('is empty before anything completed', () => {
    expect(fold(owner, open(1)).restorePoint).toEqual({ kind: 'empty' })
  })
  test('is the last checkpoint', () => {
    expect(
      fold(...started, checkpointBody(1, 1, '1.1'), checkpointBody(2, 1, '1.1')).restorePoint,
    ).toMatchObject({
      kind: 'checkpoint',
      id: 2,
    })
  })
  test('is not moved by a savepoint, unless it stops the job', () => {
    const state = fold(...started, checkpointBody(1, 1, '1.1'), savepointBody(2))
    expect(state.restorePoint).toMatchObject({ kind: 'checkpoint', id: 1 })
    expect(state.savepoints.map((s) => s.id)).toEqual([2])
    expect(
      fold(...started, checkpointBody(1, 1, '1.1'), savepointBody(2, 'Suspended'), close).restorePoint,
    ).toMatchObject({
      kind: 'savepoint',
      path: 'file:///savepoints/2',
    })
  })
  test('goes back when a DEPLOY says so, and stays there until the next checkpoint', () => {
    const back = deployBody('2.1', {
      restoreFrom: { kind: 'checkpoint', id: 1, manifest: 'chk/1-1/manifest.json', sha256: 'x' },
    })
    const state = fold(...started, checkpointBody(1, 1, '1.1'), checkpointBody(2, 1, '1.1'), open(2), back)
    expect(state.restorePoint).toMatchObject({ id: 1 })
    expect(state.highestId).toBe(2)
    expect(state.deploy?.attempt).toBe('2.1')
  })
})

describe('retained checkpoints', () => {
  test('shrink by what a checkpoint retires, which is remembered until it is deleted', () => {
    const state = fold(
      ...started,
      checkpointBody(1, 1, '1.1'),
      checkpointBody(2, 1, '1.1', { base: 1, retires: [1] }),
    )
    expect(state.retained.map((c) => c.id)).toEqual([2])
    expect(state.retirements).toMatchObject([
      { seq: 4, checkpoints: [{ id: 1, manifest: 'chk/1-1/manifest.json' }] },
    ])
    expect(withoutRetirements(state, new Set([4])).retirements).toEqual([])
  })
})

describe('a run that is to end', () => {
  const drained = checkpointBody(1, 1, '1.1', { end: 'Drained' })

  test('is named with how and with which checkpoint or savepoint, until CLOSE', () => {
    expect(fold(...started, drained).ending).toEqual({ status: 'Drained', id: 1 })
    expect(fold(...started, savepointBody(3, 'Suspended')).ending).toEqual({ status: 'Suspended', id: 3 })
    expect(fold(...started, drained, closeBody('Drained')).ending).toBeUndefined()
  })
  test('is still to end under a new epoch of the same run, and forgotten with a new run', () => {
    expect(fold(...started, drained, open(2)).ending).toEqual({ status: 'Drained', id: 1 })
    expect(fold(...started, drained, open(2, 2)).ending).toBeUndefined()
  })
  test('CLOSE remembers up to where every sink has committed, and never less', () => {
    const closed = fold(...started, drained, { ...closeBody('Drained'), committedUpTo: 1 })
    expect(closed.committedUpTo).toBe(1)
    const next = [open(2, 2), deployBody('2.1', { run: 2 }), closeBody('Canceled', 2)]
    expect(
      fold(...started, drained, { ...closeBody('Drained'), committedUpTo: 1 }, ...next).committedUpTo,
    ).toBe(1)
  })
})

test('the next attempt counts within an epoch and begins anew with the next', () => {
  expect(nextAttempt(fold(owner, open(1)), 1)).toBe('1.1')
  expect(nextAttempt(fold(...started), 1)).toBe('1.2')
  expect(nextAttempt(fold(...started, open(4)), 4)).toBe('4.1')
})

test('pins replace those of the same holder', () => {
  const pin = (until: number): LogBody => ({ kind: 'PIN', ids: [1], by: 'fork', until })
  expect(
    fold(...started, checkpointBody(1, 1, '1.1'), pin(5000), pin(6000)).pins.map((p) => p.until),
  ).toEqual([6000])
})

test('a savepoint that the state does not remember any more may be in the log', () => {
  const all = Array.from({ length: 1002 }, (_, i) => savepointBody(i + 1))
  const few = fold(...started, ...all.slice(1, 3))
  expect([1, 2, 3, 4].map((id) => mayBeLogged(few, id))).toEqual([false, true, true, false])
  const many = fold(...started, ...all)
  expect(many.savepoints).toHaveLength(1000)
  expect([1, 2, 3, 1002, 1003].map((id) => mayBeLogged(many, id))).toEqual([true, true, true, true, false])
})

describe('impossible sequences', () => {
  const cp = (id: number, more = {}): LogBody => checkpointBody(id, 1, '1.1', more)
  const rows: [string, LogBody[], RegExp][] = [
    ['no owner first', [open(1)], /OWNER stands at seq 0/],
    ['a second owner', [owner, owner], /OWNER stands at seq 0/],
    ['an epoch that does not grow', [owner, open(2), open(2)], /epoch 2 is open already/],
    ['a run that falls', [owner, open(1, 2), open(2, 1)], /at run 2/],
    ['an attempt used twice', [...started, deployBody('1.1')], /does not follow/],
    ['an attempt of another epoch', [...started, open(2), deployBody('1.2')], /not of epoch 2/],
    ['a deployment of another run', [...started, deployBody('1.2', { run: 3 })], /deploys run 3/],
    ['a checkpoint without a deployment', [owner, open(1), cp(1)], /deployed is none/],
    ['a checkpoint of another attempt', [...started, deployBody('1.2'), cp(1)], /of attempt 1.1/],
    ['an id used twice', [...started, cp(1), cp(1)], /id 1 was used before/],
    ['an id that falls', [...started, cp(5), cp(4)], /not above 5/],
    ['the id of a savepoint', [...started, savepointBody(1), cp(1)], /id 1 was used before/],
    ['a base that is not retained', [...started, cp(2, { base: 1 })], /based on checkpoint 1/],
    ['retiring what is not retained', [...started, cp(2, { retires: [1] })], /retires checkpoint 1/],
    ['committing above its own id', [...started, cp(1, { committedUpTo: 2 })], /commits up to 2/],
    ['a checkpoint after CLOSE', [...started, close, cp(1)], /run 1 was closed/],
    [
      'a checkpoint behind the one that the run ends with',
      [...started, cp(1, { end: 'Finished' }), cp(2)],
      /ends with 1/,
    ],
    [
      'a stopping savepoint behind a checkpoint',
      [...started, cp(3), savepointBody(2, 'Suspended')],
      /not above 3/,
    ],
    ['closing another run', [...started, closeBody('Failed', 2)], /closes run 2/],
  ]
  test.each(rows)('%s is refused, naming the seq', (_, bodies, why) => {
    const attempt = (): LogState => fold(...bodies)
    expect(attempt).toThrow(why)
    expect(attempt).toThrow(new RegExp(`record ${bodies.length - 1} `))
  })
  test('a record of another epoch is refused', () => {
    const state = fold(...started)
    expect(() => foldRecord(state, { v: 1, seq: 3, epoch: 2, at: 0, nonce: 'n', body: close })).toThrow(
      /carries epoch 2/,
    )
  })
  test('a gap is refused', () => {
    expect(() => foldRecord(emptyLog, { v: 1, seq: 1, epoch: 0, at: 0, nonce: 'n', body: owner })).toThrow(
      /expected seq 0/,
    )
  })
})
