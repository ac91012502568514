import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import type { CommitLog } from '#runtime/commit-log/commit-log'
import { nextAttempt } from '#runtime/commit-log/log-state'
import type { Term } from '#runtime/commit-log/term'
import { MemoryObjects, MemoryStore } from '#runtime/storage/memory-store'
import { logRecordKey } from '#runtime/storage/paths'
import { checkpointBody, deployBody, hastyClock, JOB, openLog } from '#test/kit/commit-log'

/**
 * Several candidates lead, checkpoint, compact, lose their terms and sleep in any order over a
 * store that loses requests and answers and delivers some requests late, after whatever else has
 * happened. Whatever happens: the log stays readable, every checkpoint that a coordinator was told
 * it has is in it exactly once, and none that it was told it has not.
 */
const fault = fc.constantFrom('none', 'none', 'none', 'request lost', 'answer lost', 'late', 'denied')
const step = fc.record({
  who: fc.nat(2),
  what: fc.constantFrom('lead', 'checkpoint', 'checkpoint', 'checkpoint', 'end', 'refresh'),
  /** Of the operations that come next. */
  faults: fc.array(fault, { maxLength: 6 }),
  /** Turns of the event loop until the next step: what is under way gets so far. */
  turns: fc.nat(20),
})

const turns = async (n: number) => {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve))
}

class Candidate {
  readonly told = { appended: [] as number[], refused: [] as number[], over: [] as number[] }
  readonly #name: string
  readonly #store: MemoryStore
  readonly #faults: string[] = []
  readonly #late: (() => void)[] = []
  readonly #running = new Set<Promise<void>>()
  #opening: AbortController | undefined
  #log: CommitLog | undefined
  #term: Term | undefined
  #lastId = 0

  constructor(name: string, objects: MemoryObjects) {
    this.#name = name
    let current = 'none'
    this.#store = new MemoryStore({
      objects,
      hooks: {
        before: async () => {
          current = this.#faults.shift() ?? 'none'
          if (current === 'request lost') throw new WeirError('STO_UNAVAILABLE', current)
          if (current === 'denied') throw new WeirError('STO_DENIED', current)
          if (current === 'late') await new Promise<void>((resolve) => this.#late.push(resolve))
        },
        after: () => {
          if (current === 'answer lost') throw new WeirError('STO_UNAVAILABLE', current)
        },
      },
    })
  }

  start(what: string, faults: readonly string[], tag: number): void {
    this.#faults.splice(0, Infinity, ...faults)
    const work = this.#do(what, tag).catch((error: unknown) => {
      const expected = ['STO_UNAVAILABLE', 'STO_DENIED', 'FENCED']
      if (!(error instanceof WeirError) || !expected.includes(error.code)) throw error
    })
    this.#running.add(work)
  }

  /** Delivers what is late. */
  deliver(): void {
    for (const resolve of this.#late.splice(0)) resolve()
  }

  /** No more faults: everything comes to its end. */
  async settle(): Promise<void> {
    this.#faults.length = 0
    for (const work of this.#running) {
      const ended = work.then(() => true)
      while (!(await Promise.race([ended, turns(1)]))) this.deliver()
    }
  }

  async #do(what: string, tag: number): Promise<void> {
    this.#log ??= await openLog(this.#store, {
      clock: hastyClock(),
      compaction: { afterRecords: 3, graceMs: 0 },
    })
    if (what === 'refresh') await this.#log.refresh()
    else if (what === 'lead') await this.#lead(this.#log)
    else if (what === 'end') this.#end()
    else if (this.#term !== undefined) await this.#checkpoint(this.#term, tag)
    else if (this.#opening === undefined) await this.#lead(this.#log)
  }

  #end(): void {
    const reason = new WeirError('FENCED', 'the lease is lost')
    this.#opening?.abort(reason)
    this.#term?.end(reason)
    this.deliver()
  }

  async #lead(log: CommitLog): Promise<void> {
    this.#opening?.abort(new WeirError('FENCED', 'the next campaign'))
    const opening = new AbortController()
    this.#opening = opening
    this.#term = undefined
    const { signal } = opening
    const term = await log.openEpoch({ run: 1, leader: this.#name, floor: 1, signal })
    if (signal.aborted) return void term.end(signal.reason as WeirError)
    const { state, epoch } = term
    await term.append(deployBody(nextAttempt(state, epoch), { restoreFrom: state.restorePoint }))
    this.#term = term
  }

  async #checkpoint(term: Term, tag: number): Promise<void> {
    const { deploy, highestId } = term.state
    const id = Math.max(highestId, this.#lastId) + 1
    this.#lastId = id
    const attempt = deploy?.attempt ?? '0.1'
    const outcome = await term.append(checkpointBody(id, term.epoch, attempt, { sizeBytes: tag }))
    this.told[outcome.kind].push(tag)
    if (outcome.kind === 'over' && this.#term === term) this.#opening = this.#term = undefined
  }
}

test('whatever is lost or late, the log is linear and nobody is deceived about a checkpoint', async () => {
  const seen = { appended: 0, refused: 0, 'over and in the log': 0, 'over and not in the log': 0, deleted: 0 }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
      const objects = new MemoryObjects()
      await (await openLog(new MemoryStore({ objects }))).ensureOwner(JOB)
      const all = [0, 1, 2].map((i) => new Candidate(`jm-${i}`, objects))
      for (const [tag, { who, what, faults, turns: n }] of steps.entries()) {
        all[who]?.start(what, faults, tag)
        await turns(n)
        if (tag % 4 === 3) all[(who + 1) % 3]?.deliver()
      }
      for (const candidate of all) await candidate.settle()
      const { state } = await openLog(new MemoryStore({ objects }))
      const inLog = state.retained.map((c) => c.sizeBytes)
      expect(new Set(inLog).size).toBe(inLog.length)
      const told = (outcome: keyof Candidate['told']) => all.flatMap((candidate) => candidate.told[outcome])
      expect(inLog).toEqual(expect.arrayContaining(told('appended')))
      expect(inLog.filter((tag) => told('refused').includes(tag))).toEqual([])
      seen.appended += told('appended').length
      seen.refused += told('refused').length
      for (const tag of told('over'))
        seen[inLog.includes(tag) ? 'over and in the log' : 'over and not in the log']++
      expect(objects.get(logRecordKey(state.head + 1))).toBeUndefined()
      if (objects.get(logRecordKey(0)) === undefined) seen.deleted++
    }),
    { numRuns: 1000 },
  )
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(50)
})
