import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { CommitLog } from '#runtime/commit-log/commit-log'
import { silentLogger } from '#runtime/base/logger'
import { nextAttempt } from '#runtime/commit-log/log-state'
import { MemoryObjects, MemoryStore } from '#runtime/storage/memory-store'
import { logRecordKey } from '#runtime/storage/paths'
import { checkpointBody, deployBody, hastyClock, JOB, openLog } from '#test/kit/commit-log'

/**
 * Several candidates lead, checkpoint, compact and sleep in any order over a store that loses
 * requests and answers. Whatever happens: the log stays readable, every checkpoint that a
 * coordinator believes in is in it exactly once, and none that a coordinator was told it lost is.
 */
const step = fc.record({
  who: fc.nat(2),
  what: fc.constantFrom('lead', 'checkpoint', 'checkpoint', 'checkpoint', 'compact', 'refresh'),
  /** Which of the next operations fail, and whether before or after they take effect. */
  faults: fc.array(fc.constantFrom('none', 'none', 'before', 'after'), { maxLength: 6 }),
})

class Candidate {
  readonly faults: string[] = []
  readonly store: MemoryStore
  readonly believed: number[] = []
  readonly refused: number[] = []
  readonly untold: number[] = []
  readonly #clock = hastyClock()
  log: CommitLog | undefined
  constructor(objects: MemoryObjects) {
    let current = 'none'
    this.store = new MemoryStore({
      objects,
      hooks: {
        before: () => {
          current = this.faults.shift() ?? 'none'
          if (current === 'before') throw new WeirError('STO_UNAVAILABLE', 'request lost')
        },
        after: () => {
          if (current === 'after') throw new WeirError('STO_UNAVAILABLE', 'answer lost')
        },
      },
    })
  }

  async do(what: string, name: string): Promise<void> {
    this.log ??= await CommitLog.open({
      store: this.store,
      clock: this.#clock,
      random: Math.random,
      logger: silentLogger,
    })
    const { log } = this
    if (what === 'refresh') await log.refresh()
    else if (what === 'lead') {
      await this.settle()
      await log.openEpoch({ run: 1, leader: name, floor: 1, limitMs: 300 })
      await log.append(
        deployBody(nextAttempt(log.state, log.epoch), { restoreFrom: log.state.restorePoint }),
        { limitMs: 300 },
      )
    } else if (
      log.epoch > 0 &&
      log.fenced === undefined &&
      log.inDoubt === undefined &&
      log.state.deploy?.attempt.startsWith(`${log.epoch}.`)
    ) {
      if (what === 'compact') await log.compact({ graceMs: 0 })
      else await this.#checkpoint(log)
    }
  }

  /**
   * Learns the outcome of a checkpoint in doubt. An epoch in doubt is settled by opening one again.
   */
  async settle(): Promise<void> {
    if (this.log?.inDoubt === undefined || this.log.inDoubt.record.body.kind === 'EPOCH_OPEN') return
    const { body, epoch } = this.log.inDoubt.record
    const key = body.kind === 'CHECKPOINT' ? [epoch * 1000 + body.id] : []
    try {
      await this.log.settle({ limitMs: 300 })
      this.believed.push(...key)
    } catch (error) {
      // Compacted away while in doubt: fenced for certain, but what became of the record cannot be
      // told from its key any more.
      if (error instanceof WeirError && error.code === 'FENCED')
        (error.context['epoch'] === undefined ? this.untold : this.refused).push(...key)
      throw error
    }
  }

  async #checkpoint(log: CommitLog): Promise<void> {
    const id = log.state.highestId + 1
    const key = log.epoch * 1000 + id
    try {
      await log.append(checkpointBody(id, log.epoch, `${log.epoch}.1`), { limitMs: 300 })
      this.believed.push(key)
    } catch (error) {
      if (error instanceof WeirError && error.code === 'FENCED')
        (error.context['epoch'] === undefined ? this.untold : this.refused).push(key)
      throw error
    }
  }
}

test('whatever is lost, the log is linear and nobody is deceived about a checkpoint', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const objects = new MemoryObjects()
      await (await openLog(new MemoryStore({ objects }))).ensureOwner(JOB)
      const all = [0, 1, 2].map(() => new Candidate(objects))
      for (const { who, what, faults } of steps) {
        const candidate = all[who] as Candidate
        candidate.faults.splice(0, Infinity, ...faults)
        await candidate.do(what, `jm-${who}`).catch((error: unknown) => {
          if (
            !(error instanceof WeirError) ||
            !['STO_UNAVAILABLE', 'STO_MISSING', 'FENCED'].includes(error.code)
          )
            throw error
        })
      }
      for (const candidate of all) {
        candidate.faults.length = 0
        await candidate.settle().catch((error: unknown) => expect(error).toMatchObject({ code: 'FENCED' }))
      }
      const { state } = await openLog(new MemoryStore({ objects }))
      const inLog = state.retained.map((c) => c.epoch * 1000 + c.id)
      expect(new Set(inLog).size).toBe(inLog.length)
      const untold = new Set(all.flatMap((c) => c.untold))
      const told = inLog.filter((key) => !untold.has(key))
      expect(all.flatMap((c) => c.believed).toSorted((a, b) => a - b)).toEqual(told.toSorted((a, b) => a - b))
      for (const key of all.flatMap((c) => c.refused)) expect(inLog).not.toContain(key)
      expect(objects.get(logRecordKey(state.head + 1))).toBeUndefined()
    }),
    { numRuns: 300 },
  )
})
