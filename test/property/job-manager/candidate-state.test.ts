import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WeirError, type ErrorCode } from '#runtime/base/errors'
import {
  next,
  PREPARING,
  type CandidateEffect,
  type CandidateEvent,
  type CandidateState,
  type RunOver,
} from '#runtime/job-manager/candidate-state'

const TIMING = { followMs: 2000, retry: { initialMs: 200, maxMs: 5000, multiplier: 2, jitter: 0 } }
const CODES = [
  'STO_UNAVAILABLE',
  'STO_DENIED',
  'STO_CORRUPT',
  'CFG_MODULE',
  'CFG_INVALID',
  'NET_REFUSED',
  'FENCED',
] as const
const ERRORS = new Map<ErrorCode, WeirError>(CODES.map((code) => [code, new WeirError(code, code)]))
const error = (code: (typeof CODES)[number]): WeirError => ERRORS.get(code) as WeirError
const OVER: RunOver = { state: 'Suspended', message: 'run 1 is over' }

type Action = readonly [name: string, weight: number, event: CandidateEvent]

/** What a candidate is surrounded by: its preparation, elections, epochs, a term, time. */
class Surroundings {
  state: CandidateState = PREPARING
  readonly violations: string[] = []
  readonly campaigns = new Set<number>()
  #preparing = 1
  #opening: number | undefined
  #isFollowing = false
  #isLeading = false
  #isTimerSet = false

  get kind() {
    return this.state.candidate.kind
  }

  get isLeading(): boolean {
    return this.#isLeading
  }

  actions(): Action[] {
    const campaign = Math.max(0, ...this.campaigns)
    const opening = this.#opening ?? 0
    const stale: CandidateEvent[] = [
      { type: 'LeaderSeen', campaign: 0, leader: 'nobody' },
      { type: 'Elected', campaign: 0, floor: 1 },
      { type: 'LeaseLost', campaign: 0, why: 'stale' },
      { type: 'Opened', campaign: 0 },
      { type: 'OpenFailed', campaign: 0, error: error('STO_CORRUPT'), over: undefined },
      { type: 'CampaignFailed', campaign: 0, error: error('CFG_INVALID') },
    ]
    const when = (condition: boolean, actions: Action[]): Action[] => (condition ? actions : [])
    return [
      ...when(this.#preparing > 0, [
        ['prepared', 4, { type: 'Prepared', over: undefined }],
        ['prepared, and over', 0.2, { type: 'Prepared', over: OVER }],
        ['not prepared', 1, { type: 'PrepareFailed', error: error('STO_UNAVAILABLE') }],
        ['not prepared: denied', 1, { type: 'PrepareFailed', error: error('STO_DENIED') }],
        ['cannot be prepared', 0.2, { type: 'PrepareFailed', error: error('CFG_MODULE') }],
      ]),
      ...when(campaign > 0, [
        ['leader seen', 1, { type: 'LeaderSeen', campaign, leader: 'jm-2' }],
        ['elected', 3, { type: 'Elected', campaign, floor: 1 }],
        ['lease lost', 1, { type: 'LeaseLost', campaign, why: 'another holds it' }],
        ['no campaign', 0.3, { type: 'CampaignFailed', campaign, error: error('NET_REFUSED') }],
        ['cannot campaign', 0.1, { type: 'CampaignFailed', campaign, error: error('CFG_INVALID') }],
      ]),
      ...when(this.#opening !== undefined, [
        ['opened', 4, { type: 'Opened', campaign: opening }],
        ...(['STO_DENIED', 'STO_UNAVAILABLE', 'FENCED'] as const).map((code): Action => [
          `not opened: ${code}`,
          0.5,
          { type: 'OpenFailed', campaign: opening, error: error(code), over: undefined },
        ]),
        [
          'cannot be opened',
          0.1,
          { type: 'OpenFailed', campaign: opening, error: error('STO_CORRUPT'), over: undefined },
        ],
        ['run over', 0.1, { type: 'OpenFailed', campaign: opening, error: error('FENCED'), over: OVER }],
      ]),
      ...when(this.#isLeading, [
        ['term over', 1, { type: 'TermOver', error: error('FENCED'), over: undefined }],
        ['term over, run too', 0.1, { type: 'TermOver', error: error('FENCED'), over: OVER }],
        ['closed', 0.2, { type: 'RunClosed', state: 'Finished' }],
      ]),
      ...when(this.#isFollowing, [
        ['followed', 2, { type: 'Followed', over: undefined }],
        ['followed, and over', 0.1, { type: 'Followed', over: OVER }],
      ]),
      ...when(this.#isTimerSet, [['time out', 3, { type: 'TimeOut' }]]),
      ...stale.map((event): Action => [`stale ${event.type}`, 0.1, event]),
      ['close', 0.05, { type: 'Close' }],
    ]
  }

  /** The event that leads on where all goes well; undefined: nothing does. */
  benevolent(): CandidateEvent | undefined {
    const [campaign] = this.campaigns
    if (this.#preparing > 0) return { type: 'Prepared', over: undefined }
    if (this.#opening !== undefined) return { type: 'Opened', campaign: this.#opening }
    if (campaign !== undefined && !this.#isLeading) return { type: 'Elected', campaign, floor: 1 }
    return this.#isTimerSet ? { type: 'TimeOut' } : undefined
  }

  apply(event: CandidateEvent): void {
    const before = this.state
    this.#answered(event)
    const { state, effects } = next(TIMING, before, event, 0.5)
    this.state = state
    const isStale = 'campaign' in event && !this.campaigns.has(event.campaign)
    if (isStale) this.#require(state === before && effects.length === 0, `a stale ${event.type} changed it`)
    if (before.candidate.kind === 'Closed') this.#require(effects.length === 0, 'effects after Close')
    for (const effect of effects) this.#perform(effect)
    this.#check()
  }

  #answered(event: CandidateEvent): void {
    if (event.type === 'Prepared' || event.type === 'PrepareFailed') this.#preparing--
    if (event.type === 'Followed') this.#isFollowing = false
    if (event.type === 'TimeOut') this.#isTimerSet = false
    if (event.type !== 'Opened' && event.type !== 'OpenFailed') return
    if (event.campaign === this.#opening) this.#opening = undefined
  }

  #perform(effect: CandidateEffect): void {
    switch (effect.type) {
      case 'prepare':
        this.#preparing++
        return
      case 'campaign':
        this.#require(this.campaigns.size === 0, `campaign ${effect.campaign} beside another`)
        this.campaigns.add(effect.campaign)
        return
      case 'endCampaign':
        this.campaigns.clear()
        this.#opening = undefined
        return
      case 'openEpoch':
        this.#require(this.#opening === undefined, 'two epochs are being opened')
        this.#require(this.campaigns.has(effect.campaign), 'an epoch without the lease')
        this.#opening = effect.campaign
        return
      case 'lead':
        this.#require(!this.#isLeading && this.campaigns.size === 1, 'it leads twice, or without the lease')
        this.#isLeading = true
        return
      case 'endTerm':
        this.#isLeading = false
        return
      case 'follow':
        this.#isFollowing = true
        return
      case 'timer':
        this.#isTimerSet = effect.delayMs !== undefined
    }
  }

  #check(): void {
    const holds = this.campaigns.size > 0
    const mayHold = this.kind === 'Standby' || this.kind === 'Opening' || this.kind === 'Leading'
    this.#require(holds === mayHold, `in ${this.kind} it ${holds ? 'holds' : 'does not stand for'} the lease`)
    this.#require(this.#preparing <= 1, 'it prepares twice at a time')
    if (this.#isLeading)
      this.#require(this.kind === 'Leading' || this.kind === 'Ended', `it leads in ${this.kind}`)
  }

  #require(condition: boolean, what: string): void {
    if (!condition) this.violations.push(what)
  }
}

const choices = fc.array(fc.noBias(fc.integer({ min: 0, max: 9999 })), { maxLength: 80, size: 'max' })

function run(of: readonly number[]): { around: Surroundings; names: string[] } {
  const around = new Surroundings()
  const names: string[] = []
  for (const choice of of) {
    const actions = around.actions()
    let at = (choice / 10_000) * actions.reduce((sum, [, weight]) => sum + weight, 0)
    const action = actions.find(([, weight]) => (at -= weight) < 0)
    if (action === undefined) break
    names.push(action[0])
    around.apply(action[2])
  }
  return { around, names }
}

describe('the life of a candidate', () => {
  test('in any course of events: one campaign, no lease without leading, stale events ignored', () => {
    const kinds = new Set<string>()
    fc.assert(
      fc.property(choices, (of) => {
        const { around, names } = run(of)
        kinds.add(around.kind)
        expect(around.violations, names.join(', ')).toEqual([])
      }),
      { numRuns: 3000 },
    )
    expect(kinds.size).toBe(7)
  })

  test('leads again where all goes well, unless the run is over or a person must act', () => {
    const done = new Set(['Leading', 'Ended', 'Closed', 'Unable'])
    fc.assert(
      fc.property(choices, (of) => {
        const { around, names } = run(of)
        for (let steps = 0; steps < 20 && !done.has(around.kind); steps++) {
          const event = around.benevolent()
          if (event === undefined) break
          around.apply(event)
        }
        expect(done.has(around.kind), `stuck in ${around.kind} after ${names.join(', ')}`).toBe(true)
        expect(around.violations).toEqual([])
      }),
      { numRuns: 2000 },
    )
  })
})
