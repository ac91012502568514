import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import type { LogBody } from '#runtime/contract/checkpoint-records'
import {
  type MemoryHooks,
  MemoryObjects,
  MemoryStore,
  type MemoryStoreOptions,
} from '#runtime/storage/memory-store'
import { logRecordKey } from '#runtime/storage/paths'
import {
  append,
  checkpointBody,
  closeBody,
  deployBody,
  hastyClock,
  leadLog,
  openLog,
} from '#test/kit/commit-log'

const unavailable = () => new WeirError('STO_UNAVAILABLE', 'no answer')
const denied = () => new WeirError('STO_DENIED', 'key revoked')
const never = () => new Promise<void>(() => undefined)
const turns = async (n: number) => {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Remembers what was sent. */
class SeenStore extends MemoryStore {
  readonly sent: string[] = []
  override create(...args: Parameters<MemoryStore['create']>) {
    this.sent.push(`${args[0]} ${Buffer.from(args[1]).toString()}`)
    return super.create(...args)
  }
}

/** A term over a store whose faults are set by `hooks` from now on. */
async function setup(options: MemoryStoreOptions = {}) {
  const hooks: MemoryHooks = {}
  const clock = hastyClock()
  const store = new SeenStore({ ...options, hooks })
  const { log, term } = await leadLog(store, { clock })
  store.sent.length = 0
  return { hooks, clock, store, log, term, objects: store.objects }
}

/** Throws `error` the first `times` times that the operation (any, by default) comes. */
function failing(times: number, error: () => unknown, operation?: string) {
  let left = times
  return (asked: string): void => {
    if ((operation === undefined || asked === operation) && left-- > 0) throw error()
  }
}

describe('append', () => {
  test('a deposed coordinator is fenced at its next append and stays so', async () => {
    const objects = new MemoryObjects()
    const { term: old } = await leadLog(new MemoryStore({ objects }), { leader: 'old' })
    await append(old, deployBody('1.1'))
    const { term: young } = await leadLog(new MemoryStore({ objects }), { leader: 'young' })
    const outcome = await old.append(checkpointBody(1, 1, '1.1'))
    expect(outcome).toMatchObject({
      kind: 'over',
      error: { code: 'FENCED', context: { epoch: 2, ownEpoch: 1 } },
    })
    expect(await old.append(closeBody('Failed'))).toEqual({ kind: 'over', error: old.over })
    await append(young, deployBody('2.1'))
    expect((await openLog(new MemoryStore({ objects }))).state.lastCheckpoint).toBeUndefined()
  })

  test('a request that never arrived is repeated at the same seq with the same bytes', async () => {
    const { hooks, store, term } = await setup()
    hooks.before = failing(3, unavailable, 'create')
    const record = await append(term, deployBody('1.1'))
    expect(store.sent).toHaveLength(4)
    expect(new Set(store.sent).size).toBe(1)
    expect(store.sent[0]).toContain(`${logRecordKey(record.seq)} `)
  })

  test('an append whose answer was lost succeeds once, although the key exists', async () => {
    const { hooks, store, term } = await setup()
    hooks.after = failing(1, unavailable, 'create')
    expect((await append(term, deployBody('1.1'))).seq).toBe(2)
    expect((await openLog(store)).state.deploy?.attempt).toBe('1.1')
    expect(store.sent).toHaveLength(1)
  })

  test('an hour without the store: it goes on with the same bytes, logs it, is appended once', async () => {
    const { hooks, clock, store, term } = await setup()
    const since = clock.now()
    const recovers = clock.monotonic() + 3_600_000
    hooks.before = () => {
      if (clock.monotonic() < recovers) throw unavailable()
    }
    const appending = term.append(deployBody('1.1'))
    await turns(20)
    expect(term.inDoubt).toMatchObject({ kind: 'DEPLOY', seq: 2, since })
    expect(term.inDoubt?.message).toMatch(/DEPLOY at memory:.*open after \d+ tries: no answer/)
    expect(await appending).toMatchObject({ kind: 'appended', record: { seq: 2 } })
    expect(term.inDoubt).toBeUndefined()
    expect(clock.monotonic()).toBeGreaterThanOrEqual(recovers)
    expect(new Set(store.sent).size).toBe(1)
  })

  test('an outage in which every answer is lost ends with the own bytes found', async () => {
    const { hooks, clock, term, log } = await setup()
    const recovers = clock.monotonic() + 600_000
    hooks.after = () => {
      if (clock.monotonic() < recovers) throw unavailable()
    }
    expect(await term.append(deployBody('1.1'))).toMatchObject({ kind: 'appended' })
    expect(log.state.deploy?.attempt).toBe('1.1')
  })

  test("an outage in which another took the place ends the term: the other's record is found", async () => {
    const { hooks, objects, term } = await setup()
    hooks.before = () => {
      throw unavailable()
    }
    const appending = term.append(deployBody('1.1'))
    await turns(5)
    await leadLog(new MemoryStore({ objects }), { leader: 'b' })
    delete hooks.before
    expect(await appending).toMatchObject({ kind: 'over', error: { code: 'FENCED', context: { epoch: 2 } } })
  })

  test.each(['STO_DENIED', 'STO_UNSAFE'] as const)(
    'a definite %s of the first try is refused; the term goes on',
    async (refusal) => {
      const { hooks, term } = await setup()
      hooks.before = failing(1, () => new WeirError(refusal, 'no'))
      expect(await term.append(deployBody('1.1'))).toMatchObject({
        kind: 'refused',
        error: { code: refusal },
      })
      expect([term.over, term.inDoubt]).toEqual([undefined, undefined])
      expect((await append(term, deployBody('1.1'))).seq).toBe(2)
    },
  )

  test.each(['STO_DENIED', 'STO_UNSAFE'] as const)(
    '%s after a try whose outcome is open proves nothing: it goes on',
    async (refusal) => {
      const { hooks, objects, term } = await setup()
      let tries = 0
      hooks.after = failing(1, unavailable, 'create')
      hooks.before = (operation) => {
        if (operation === 'list' || ++tries === 1 || tries > 40) return
        throw new WeirError(refusal, 'no')
      }
      const appending = term.append(deployBody('1.1'))
      await turns(5)
      expect(objects.get(logRecordKey(2))).toBeDefined()
      expect(term.inDoubt?.message).toContain('no')
      expect(await appending).toMatchObject({ kind: 'appended', record: { seq: 2 } })
    },
  )

  test('an error that says nothing about the outcome leaves it open, whatever it is', async () => {
    const { hooks, store, term } = await setup()
    hooks.after = failing(1, () => new TypeError('socket hang up'), 'create')
    expect(await term.append(deployBody('1.1'))).toMatchObject({ kind: 'appended', record: { seq: 2 } })
    expect(new Set(store.sent).size).toBe(1)
  })

  test('a record in place whose confirmation is denied is in doubt until it is confirmed', async () => {
    const { hooks, term } = await setup()
    hooks.before = failing(5, denied, 'list')
    const appending = term.append(deployBody('1.1'))
    await turns(3)
    expect(term.inDoubt).toMatchObject({ seq: 2 })
    expect(await appending).toMatchObject({ kind: 'appended', record: { seq: 2 } })
  })

  test('what stands at its place and cannot be read ends the term', async () => {
    const { objects, term } = await setup()
    objects.overwrite(logRecordKey(2), Buffer.from('{"v":1,'))
    expect(await term.append(deployBody('1.1'))).toMatchObject({
      kind: 'over',
      error: { code: 'STO_CORRUPT' },
    })
    expect(term.over?.message).toContain(logRecordKey(2))
  })

  test('what could not be read back is never written', async () => {
    const { store, term } = await setup()
    expect(await term.append(checkpointBody(1, 1, '1.1'))).toMatchObject({
      kind: 'refused',
      error: { code: 'BUG' },
    })
    expect(store.sent).toEqual([])
    expect(await term.append(deployBody('1.1'))).toMatchObject({ kind: 'appended' })
  })

  test('appends of one term run one after the other, in the order of the calls', async () => {
    const { term } = await setup()
    await append(term, deployBody('1.1'))
    const records = await Promise.all([1, 2, 3].map((id) => append(term, checkpointBody(id, 1, '1.1'))))
    expect(records.map((r) => [r.seq, (r.body as { id?: number }).id])).toEqual([
      [3, 1],
      [4, 2],
      [5, 3],
    ])
  })
})

describe('end', () => {
  const reason = new WeirError('FENCED', 'the lease is lost')

  test.each([
    ['does not answer', () => never()],
    ['fails every try', () => Promise.reject(unavailable())],
  ])(
    'while an append is in doubt and the store %s: over at once, and nothing more is sent',
    async (_, fault) => {
      const { hooks, clock, store, term } = await setup()
      hooks.before = fault
      const both = [term.append(deployBody('1.1')), term.append(closeBody('Failed'))]
      await turns(5)
      const before = { at: clock.monotonic(), sent: store.sent.length }
      expect(term.end(reason)).toBe(reason)
      expect(await Promise.all(both)).toEqual([0, 1].map(() => ({ kind: 'over', error: reason })))
      expect(clock.monotonic()).toBe(before.at)
      delete hooks.before
      await turns(20)
      expect(store.sent.length).toBe(before.sent)
      expect(term.inDoubt).toBeUndefined()
    },
  )

  test('an append that was placed but not yet confirmed is over too: nobody may be told', async () => {
    const { hooks, objects, log, term } = await setup()
    hooks.after = (operation) => {
      if (operation === 'create') term.end(reason)
    }
    expect(await term.append(deployBody('1.1'))).toEqual({ kind: 'over', error: reason })
    expect(objects.get(logRecordKey(2))).toBeDefined()
    expect((await log.refresh()).deploy?.attempt).toBe('1.1')
  })

  test('the first reason counts', async () => {
    const { term } = await setup()
    term.end(reason)
    expect(term.end(new WeirError('FENCED', 'another'))).toBe(reason)
    expect(await term.append(deployBody('1.1'))).toEqual({ kind: 'over', error: reason })
  })
})

describe('a new term of the same process', () => {
  const reopen = (log: Awaited<ReturnType<typeof setup>>['log']) =>
    log.openEpoch({ run: 1, leader: 'jm-a', floor: 1 })

  /** A term that has left DEPLOY 1.1 in doubt at seq 2. */
  async function inDoubt(fault: (hooks: MemoryHooks) => void) {
    const it = await setup()
    fault(it.hooks)
    const old = it.term.append(deployBody('1.1'))
    await turns(5)
    return { ...it, old }
  }

  test('finds what the old one left in doubt, where it landed', async () => {
    const { hooks, old, log } = await inDoubt((h) => {
      h.after = () => Promise.reject(unavailable())
    })
    const opening = reopen(log)
    expect(await old).toMatchObject({ kind: 'over', error: { code: 'FENCED' } })
    delete hooks.after
    const term = await opening
    expect([term.epoch, term.state.head, term.state.deploy?.attempt]).toEqual([2, 3, '1.1'])
    await append(term, deployBody('2.1'))
  })

  test('takes its place, where it did not land', async () => {
    const { hooks, old, log } = await inDoubt((h) => {
      h.before = (operation) => (operation === 'create' ? Promise.reject(unavailable()) : undefined)
    })
    const opening = reopen(log)
    expect(await old).toMatchObject({ kind: 'over' })
    delete hooks.before
    const term = await opening
    expect([term.epoch, term.state.head, term.state.deploy]).toEqual([2, 2, undefined])
    await append(term, deployBody('2.1'))
  })

  test('cannot be overtaken by a request of the old one that arrives late', async () => {
    const late = Promise.withResolvers<void>()
    const { hooks, store, old, log } = await inDoubt((h) => {
      h.before = (operation) => (operation === 'create' ? late.promise : undefined)
    })
    const opening = reopen(log)
    expect(await old).toMatchObject({ kind: 'over' })
    delete hooks.before
    const term = await opening
    late.resolve()
    await turns(5)
    await append(term, deployBody('2.1'))
    const { state } = await openLog(store)
    expect(state).toEqual(term.state)
    expect(state.deploy?.attempt).toBe('2.1')
  })

  test('opens above a request of the old one that arrives first', async () => {
    const late = Promise.withResolvers<void>()
    const { hooks, objects, old, log } = await inDoubt((h) => {
      h.before = (operation) => (operation === 'create' ? late.promise : undefined)
    })
    hooks.before = (operation) => {
      if (operation === 'create' && objects.get(logRecordKey(2)) === undefined) {
        late.resolve()
        return turns(2)
      }
      return undefined
    }
    const term = await reopen(log)
    expect(await old).toMatchObject({ kind: 'over' })
    expect([term.epoch, term.state.head, term.state.deploy?.attempt]).toEqual([2, 3, '1.1'])
  })

  test('ends the old one: what it would append is never sent', async () => {
    const { store, log, term } = await setup()
    await reopen(log)
    store.sent.length = 0
    const late: LogBody[] = [deployBody('1.1'), closeBody('Failed')]
    for (const body of late)
      expect(await term.append(body)).toMatchObject({ kind: 'over', error: { code: 'FENCED' } })
    expect(term.over?.message).toContain('this process opens another')
    expect(store.sent).toEqual([])
    expect(log.state.closed).toBeUndefined()
  })
})
