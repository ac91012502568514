/** Real JobManagers while network, store, elections and TaskManagers fail in any order. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toErrorData, WeirError } from '#runtime/base/errors'
import type { JobMaster } from '#runtime/job-manager/job-master'
import { JobWorld, type Candidate } from '#test/kit/job-world'
import type { ScriptedTaskManager } from '#test/kit/scripted-task-manager'
import { creating, reading } from '#test/kit/store-faults'

const MAP_THREW = toErrorData(new WeirError('USR_FAILED', 'map threw'))
const ENDED = new Set(['Finished', 'Suspended', 'Drained'])

interface Action {
  readonly name: string
  readonly weight: number
  run(): Promise<unknown> | unknown
}

/** What may go wrong around two candidates and their TaskManagers. */
class Trouble {
  readonly world = new JobWorld()
  readonly asked: { readonly master: JobMaster; readonly triggerId: string }[] = []
  readonly #slots: number
  candidates: Candidate[] = []
  taskManagers: ScriptedTaskManager[] = []
  #faults: (() => void)[] = []
  #names = 0

  /** `slots`: TaskManagers that the job needs. */
  constructor(slots: number) {
    this.#slots = slots
  }

  async begin(): Promise<void> {
    await this.#newCandidate()
    await this.#newCandidate()
    for (let i = 0; i < this.#slots; i++) await this.#join()
    this.candidates[0]?.election.win()
    await this.world.settle()
  }

  get leading(): Candidate | undefined {
    return this.candidates.find((c) => c.jobManager.facts().leading)
  }

  get hasEnded(): boolean {
    return this.world.kinds().some((k) => k.startsWith('CLOSE'))
  }

  actions(): Action[] {
    const actions: Action[] = []
    const add = (name: string, weight: number, run: Action['run']) => actions.push({ name, weight, run })
    for (const ms of [10, 600, 2100, 11_000, 65_000]) add(`${ms} ms pass`, 1, () => this.world.pass(ms))
    add('heal the store', 2, () => this.#heal())
    if (this.taskManagers.length < 3) add('a TaskManager joins', 3, () => this.#join())
    for (const tm of this.taskManagers) this.#addTaskManager(tm, add)
    for (const candidate of this.candidates) this.#addCandidate(candidate, add)
    return actions
  }

  #addTaskManager(tm: ScriptedTaskManager, add: (name: string, weight: number, run: Action['run']) => void) {
    add(`${tm.id} dies`, 0.5, () => this.#bury(tm))
    add(`${tm.id} reconnects`, 0.5, () => this.#reconnect(tm))
    add(`${tm.id} leaves`, 0.3, () => tm.broadcast({ type: 'leaving', why: 'SIGTERM' }))
    add(`${tm.id} gave up`, 0.3, () => void (tm.execution = undefined))
    for (const what of ['deploy', 'ack', 'commit', 'heartbeat', 'adopt'] as const)
      add(`${tm.id} ${tm.does[what] ? 'stops to' : 'begins to'} ${what}`, tm.does[what] ? 0.2 : 1, () => {
        tm.does[what] = !tm.does[what]
      })
    if (tm.execution === undefined) return
    add(`${tm.id} fails`, 0.5, () => tm.sayFailed(MAP_THREW))
    add(`${tm.id} has finished`, 0.3, () => tm.sayFinished())
    add(`${tm.id} is deployed`, 0.5, () => tm.sayDeployed())
  }

  #addCandidate(candidate: Candidate, add: (name: string, weight: number, run: Action['run']) => void) {
    const { faults, jobManager, elections } = candidate
    const election = elections.at(-1)
    if (election !== undefined && !election.closed) {
      add('a candidate wins', election.state.kind === 'standby' ? 1 : 0, () => election.win())
      add('a candidate loses', 0.3, () => election.lose())
    }
    const fault = (name: string, end: () => () => void) => add(name, 0.3, () => void this.#faults.push(end()))
    fault('records get lost', () => faults.refuse(creating('log/')))
    fault('answers get lost', () => faults.loseAnswers(creating('log/')))
    fault('the log cannot be read', () => faults.refuse(reading('log/')))
    fault('records are denied', () => faults.refuse(creating('log/'), 'STO_DENIED'))
    fault('manifests get lost', () => faults.refuse(creating('chk/')))
    fault('restore points cannot be read', () => faults.refuse(reading('chk/')))
    fault('records are slow', () => faults.hold(creating('log/')))
    add('a candidate dies', 0.2, () => this.#replace(candidate))
    const { master } = jobManager
    if (master === undefined || this.asked.length > 4) return
    add('stop', 0.2, () => this.#stop(master, {}))
    add('stop with savepoint', 0.2, () => this.#stop(master, { savepoint: { path: undefined } }))
    add('drain', 0.1, () => this.#stop(master, { drain: true }))
  }

  #stop(master: JobMaster, how: object): void {
    const triggerId = `stop-${this.asked.length}`
    this.asked.push({ master, triggerId })
    master.stop({ triggerId, savepoint: undefined, drain: false, ...how })
  }

  async #newCandidate(): Promise<void> {
    // Restarts are quick: what is looked for is what never ends.
    const restart = { delayMs: 10, maxDelayMs: 1000 }
    const made = await this.world.candidate({ id: `jm-${++this.#names}`, slots: this.#slots, restart })
    this.candidates.push(made)
    for (const tm of this.taskManagers) tm.connect(made.address)
  }

  async #replace(candidate: Candidate): Promise<void> {
    this.candidates = this.candidates.filter((c) => c !== candidate)
    await candidate.jobManager.close()
    await this.#newCandidate()
  }

  async #join(): Promise<void> {
    const tm = this.world.taskManager(`tm-${++this.#names}`)
    this.taskManagers.push(tm)
    await this.#connect(tm)
  }

  async #connect(tm: ScriptedTaskManager): Promise<void> {
    for (const { address } of this.candidates) tm.connect(address)
    await this.world.settle()
  }

  async #reconnect(tm: ScriptedTaskManager): Promise<void> {
    tm.disconnect()
    await this.world.settle()
    await this.#connect(tm)
  }

  #bury(tm: ScriptedTaskManager): void {
    tm.die()
    this.taskManagers = this.taskManagers.filter((t) => t !== tm)
  }

  #heal(): void {
    for (const end of this.#faults.splice(0)) end()
  }

  /** Everything works again, and goes on working; gives whoever leads then. */
  async recover(): Promise<void> {
    this.#heal()
    for (const tm of this.taskManagers) this.#bury(tm)
    for (let i = 0; i < this.#slots; i++) await this.#join()
    const isSettled = () => {
      const states = this.candidates.map((c) => c.state)
      return this.leading?.state === 'Running' || (this.hasEnded && states.some((s) => ENDED.has(s)))
    }
    for (let i = 0; i < 60 && !isSettled(); i++) {
      for (const { elections } of this.candidates) {
        const election = elections.at(-1)
        const isFree = this.leading === undefined && election?.closed === false
        if (isFree && election.state.kind === 'standby') election.win()
        await this.world.settle()
      }
      await this.world.pass(5000)
    }
    const picture = this.candidates.map((c) => `${c.state}: ${c.message}`).join('; ')
    expect(isSettled(), `stuck: ${picture}`).toBe(true)
  }

  async check(): Promise<void> {
    await this.world.log()
    const kinds = this.world.kinds()
    expect(kinds.filter((k) => k.startsWith('CLOSE')).length, kinds.join()).toBeLessThanOrEqual(1)
    expect(kinds).not.toContain('CLOSE Failed')
    const attempts = this.world.records().flatMap((r) => (r.kind === 'DEPLOY' ? [r.attempt] : []))
    expect(new Set(attempts).size).toBe(attempts.length)
    for (const { master, triggerId } of this.asked)
      expect(master.operations.find(triggerId)?.status, triggerId).not.toBe('InProgress')
  }
}

const choices = fc.array(fc.noBias(fc.integer({ min: 0, max: 9999 })), {
  minLength: 10,
  maxLength: 50,
  size: 'max',
})

test('whatever fails, the job runs or ends once, as the log says, and every stop is answered', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 2 }), choices, async (slots, of) => {
      const trouble = new Trouble(slots)
      await using _ = trouble.world
      const names: string[] = []
      try {
        await trouble.begin()
        for (const choice of of) {
          const actions = trouble.actions()
          let at = (choice / 10_000) * actions.reduce((sum, a) => sum + a.weight, 0)
          const action = actions.find((a) => (at -= a.weight) < 0)
          names.push(action?.name ?? 'nothing')
          await action?.run()
          await trouble.world.settle()
        }
        await trouble.recover()
        // What a coordinator that is over was still writing comes to its end.
        await trouble.world.pass(70_000)
        await trouble.check()
      } catch (error) {
        throw new Error(`after ${names.join(', ')}`, { cause: error })
      }
    }),
    { numRuns: 40 },
  )
}, 120_000)
