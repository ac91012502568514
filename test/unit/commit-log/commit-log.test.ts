import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { logRecordKey, logSnapshotKey } from '#runtime/storage/paths'
import { type MemoryHooks, MemoryObjects, MemoryStore } from '#runtime/storage/memory-store'
import { checkpointBody, deployBody, hastyClock, JOB, leadLog, openLog } from '#test/kit/commit-log'

const lost = new WeirError('STO_UNAVAILABLE', 'no answer')
const code = (expected: string) => expect.objectContaining({ code: expected })

/** Fails the nth, ... operations as told; counts from 1 after `arm`. */
class Faults implements MemoryHooks {
  #before: ((operation: string, key: string) => void) | undefined
  #after: ((operation: string, key: string) => void) | undefined
  readonly creates: string[] = []
  before(operation: string, key: string): void {
    if (operation === 'create') this.creates.push(key)
    this.#before?.(operation, key)
  }
  after(operation: string, key: string): void {
    this.#after?.(operation, key)
  }
  arm(hooks: {
    before?: (operation: string, key: string) => void
    after?: (operation: string, key: string) => void
  }): void {
    this.#before = hooks.before
    this.#after = hooks.after
  }
}

const failing = (times: number, operation: string) => {
  let left = times
  return (op: string): void => {
    if (op === operation && left-- > 0) throw lost
  }
}

describe('owner', () => {
  test('the first job to come owns the log, and owns it again after a restart', async () => {
    const store = new MemoryStore()
    await (await openLog(store)).ensureOwner(JOB)
    const again = await openLog(store)
    await again.ensureOwner(JOB)
    expect(again.state.owner).toMatchObject(JOB)
    expect(again.head).toBe(0)
  })

  test('another job is refused with both identities named', async () => {
    const store = new MemoryStore()
    await (await openLog(store)).ensureOwner(JOB)
    const other = await openLog(store)
    const refused = other.ensureOwner({ ...JOB, uid: 'uid-2' })
    await expect(refused).rejects.toMatchObject({ code: 'STO_OWNED_BY_ANOTHER' })
    await expect(refused).rejects.toThrow(/uid uid-1.*uid uid-2/)
  })

  test('of two jobs at the same time one owns and the other is refused', async () => {
    const objects = new MemoryObjects()
    const [a, b] = await Promise.all([
      openLog(new MemoryStore({ objects })),
      openLog(new MemoryStore({ objects })),
    ])
    const results = await Promise.allSettled([a.ensureOwner(JOB), b.ensureOwner({ ...JOB, name: 'other' })])
    expect(results.map((r) => r.status).sort()).toEqual(['fulfilled', 'rejected'])
  })
})

describe('epochs', () => {
  test('grow with every opening and are at least the floor', async () => {
    const store = new MemoryStore()
    const log = await leadLog(store)
    expect(log.epoch).toBe(1)
    expect(await log.openEpoch({ run: 1, leader: 'a', floor: 7 })).toBe(7)
    expect(await (await openLog(store)).openEpoch({ run: 1, leader: 'b', floor: 2 })).toBe(8)
  })

  test('of many candidates at once each gets its own epoch at its own seq, and only the last may append', async () => {
    const objects = new MemoryObjects()
    await (await openLog(new MemoryStore({ objects }))).ensureOwner(JOB)
    const logs = await Promise.all(Array.from({ length: 8 }, () => openLog(new MemoryStore({ objects }))))
    const epochs = await Promise.all(
      logs.map((log, i) => log.openEpoch({ run: 1, leader: `jm-${i}`, floor: 1 })),
    )
    expect(new Set(epochs).size).toBe(8)
    const results = await Promise.allSettled(logs.map((log) => log.append(deployBody(`${log.epoch}.1`))))
    const winners = results.flatMap((r, i) => (r.status === 'fulfilled' ? [epochs[i]] : []))
    expect(winners).toEqual([Math.max(...epochs)])
    for (const r of results) if (r.status === 'rejected') expect(r.reason).toMatchObject({ code: 'FENCED' })
  })

  test('a lower run is refused for good', async () => {
    const store = new MemoryStore()
    await leadLog(store, 'a', 2)
    await expect((await openLog(store)).openEpoch({ run: 1, leader: 'b', floor: 1 })).rejects.toEqual(
      code('FENCED'),
    )
  })

  test('a closed run may only be followed by a greater one, or opened by a tool', async () => {
    const store = new MemoryStore()
    const log = await leadLog(store)
    await log.append({ kind: 'CLOSE', run: 1, status: 'Finished' })
    await expect((await openLog(store)).openEpoch({ run: 1, leader: 'b', floor: 1 })).rejects.toThrow(
      /closed as Finished/,
    )
    const tool = await openLog(store)
    await tool.openEpoch({ run: 1, leader: 'tool', floor: 1, force: true })
    expect(tool.state.closed?.status).toBe('Finished')
    const next = await openLog(store)
    await next.openEpoch({ run: 2, leader: 'b', floor: 1 })
    expect(next.state.closed).toBeUndefined()
  })

  test('an opening whose answer was lost is recognised as own', async () => {
    const faults = new Faults()
    const store = new MemoryStore({ hooks: faults })
    const log = await openLog(store, hastyClock())
    await log.ensureOwner(JOB)
    faults.arm({ after: failing(1, 'create') })
    expect(await log.openEpoch({ run: 1, leader: 'a', floor: 1 })).toBe(1)
    expect(log.head).toBe(1)
  })
})

describe('append', () => {
  test('a deposed coordinator is fenced at its next append and stays so', async () => {
    const objects = new MemoryObjects()
    const old = await leadLog(new MemoryStore({ objects }), 'old')
    await old.append(deployBody('1.1'))
    const young = await leadLog(new MemoryStore({ objects }), 'young')
    const refused = await old.append(checkpointBody(1, 1, '1.1')).catch((e: unknown) => e)
    expect(refused).toMatchObject({ code: 'FENCED', context: { epoch: 2, ownEpoch: 1 } })
    await expect(old.append({ kind: 'CLOSE', run: 1, status: 'Failed' })).rejects.toBe(refused)
    await young.append(deployBody('2.1'))
    expect((await openLog(new MemoryStore({ objects }))).state.lastCheckpoint).toBeUndefined()
  })

  test('a request that never arrived is repeated at the same seq with the same bytes', async () => {
    const faults = new Faults()
    const store = new MemoryStore({ hooks: faults })
    const log = await leadLog(store, 'a', 1, hastyClock())
    faults.creates.length = 0
    faults.arm({ before: failing(3, 'create') })
    const record = await log.append(deployBody('1.1'))
    expect(new Set(faults.creates)).toEqual(new Set([logRecordKey(record.seq)]))
    expect(faults.creates).toHaveLength(4)
    expect(log.inDoubt).toBeUndefined()
  })

  test('an append whose answer was lost succeeds once, although the key exists', async () => {
    const faults = new Faults()
    const store = new MemoryStore({ hooks: faults })
    const log = await leadLog(store, 'a', 1, hastyClock())
    faults.arm({ after: failing(1, 'create') })
    const record = await log.append(deployBody('1.1'))
    expect(record.seq).toBe(2)
    expect((await openLog(store)).state.deploy?.attempt).toBe('1.1')
  })

  test('after the limit it is in doubt: nothing else may be appended, and settling writes the same bytes', async () => {
    const faults = new Faults()
    const objects = new MemoryObjects()
    const log = await leadLog(new MemoryStore({ objects, hooks: faults }), 'a', 1, hastyClock())
    await log.append(deployBody('1.1'))
    faults.arm({
      before: (op) => {
        if (op !== 'list') throw lost
      },
    })
    await expect(log.append(checkpointBody(1, 1, '1.1'), { limitMs: 500 })).rejects.toMatchObject({
      code: 'STO_UNAVAILABLE',
      context: { inDoubt: true, seq: 3 },
    })
    expect(log.inDoubt?.record.body).toMatchObject({ kind: 'CHECKPOINT', id: 1 })
    await expect(log.append({ kind: 'CLOSE', run: 1, status: 'Failed' })).rejects.toThrow(/in doubt/)
    faults.arm({})
    const nonce = log.inDoubt?.record.nonce
    expect(await log.settle()).toMatchObject({ seq: 3, nonce })
    expect(log.state.lastCheckpoint?.id).toBe(1)
    expect(await log.settle()).toBeUndefined()
  })

  test('an append in doubt that lost to a new epoch settles as fenced', async () => {
    const faults = new Faults()
    const objects = new MemoryObjects()
    const log = await leadLog(new MemoryStore({ objects, hooks: faults }), 'a', 1, hastyClock())
    faults.arm({
      before: () => {
        throw lost
      },
    })
    await expect(log.append(deployBody('1.1'), { limitMs: 500 })).rejects.toEqual(code('STO_UNAVAILABLE'))
    await leadLog(new MemoryStore({ objects }), 'b')
    faults.arm({})
    await expect(log.settle()).rejects.toEqual(code('FENCED'))
  })

  test("refresh does not take the own record in doubt for somebody else's", async () => {
    const faults = new Faults()
    const log = await leadLog(new MemoryStore({ hooks: faults }), 'a', 1, hastyClock())
    faults.arm({
      after: (op) => {
        if (op === 'create') throw lost
      },
      before: (op) => {
        if (op === 'get') throw lost
      },
    })
    await expect(log.append(deployBody('1.1'), { limitMs: 500 })).rejects.toEqual(code('STO_UNAVAILABLE'))
    faults.arm({})
    await log.refresh()
    expect(log.head).toBe(1)
    expect((await log.settle())?.seq).toBe(2)
  })

  test('a record in place whose confirmation fails for good is still in doubt', async () => {
    const faults = new Faults()
    const log = await leadLog(new MemoryStore({ hooks: faults }), 'a', 1, hastyClock())
    faults.arm({
      before: (op) => {
        if (op === 'list') throw new WeirError('STO_DENIED', 'no permission to list')
      },
    })
    await expect(log.append(deployBody('1.1'))).rejects.toEqual(code('STO_DENIED'))
    expect(log.inDoubt).toBeDefined()
    faults.arm({})
    expect((await log.settle())?.seq).toBe(2)
  })

  test('a definite refusal of the first try leaves nothing in doubt', async () => {
    const faults = new Faults()
    const log = await leadLog(new MemoryStore({ hooks: faults }), 'a', 1, hastyClock())
    faults.arm({
      before: () => {
        throw new WeirError('STO_DENIED', 'key revoked')
      },
    })
    await expect(log.append(deployBody('1.1'))).rejects.toEqual(code('STO_DENIED'))
    expect(log.inDoubt).toBeUndefined()
    faults.arm({})
    expect((await log.append(deployBody('1.1'))).seq).toBe(2)
  })

  test('what could not be read back is never written', async () => {
    const store = new MemoryStore()
    const log = await leadLog(store)
    await expect(log.append(checkpointBody(1, 1, '1.1'))).rejects.toEqual(code('BUG'))
    expect((await store.list('log/')).length).toBe(2)
  })

  test('appends of one process run one after the other', async () => {
    const log = await leadLog(new MemoryStore())
    await log.append(deployBody('1.1'))
    const records = await Promise.all([1, 2, 3].map((id) => log.append(checkpointBody(id, 1, '1.1'))))
    expect(records.map((r) => r.seq)).toEqual([3, 4, 5])
  })
})

describe('reading', () => {
  test('a missing record below the head is named', async () => {
    const store = new MemoryStore()
    const log = await leadLog(store)
    await log.append(deployBody('1.1'))
    await store.delete([logRecordKey(1)])
    const refused = openLog(store)
    await expect(refused).rejects.toEqual(code('STO_CORRUPT'))
    await expect(refused).rejects.toThrow(logRecordKey(1))
  })

  test.each([
    ['not JSON', Buffer.from('{"v":1,')],
    ['another format version', Buffer.from('{"v":9}')],
  ])('a damaged record (%s) is named', async (_, bytes) => {
    const store = new MemoryStore()
    await leadLog(store)
    store.objects.overwrite(logRecordKey(1), bytes)
    await expect(openLog(store)).rejects.toThrow(logRecordKey(1))
  })

  test('refresh sees what others appended and tells a leader that it is over', async () => {
    const objects = new MemoryObjects()
    const old = await leadLog(new MemoryStore({ objects }), 'old')
    await leadLog(new MemoryStore({ objects }), 'young')
    expect((await old.refresh()).epoch).toBe(2)
    expect(old.fenced?.code).toBe('FENCED')
  })
})

describe('compaction', () => {
  test('a reader gets the same state from snapshot and tail as from all records', async () => {
    const store = new MemoryStore()
    const log = await leadLog(store)
    await log.append(deployBody('1.1'))
    for (let id = 1; id <= 5; id++)
      await log.append(checkpointBody(id, 1, '1.1', { base: id - 1, retires: id > 2 ? [id - 2] : [] }))
    expect(log.recordsSinceSnapshot).toBe(8)
    await log.compact()
    expect(log.recordsSinceSnapshot).toBe(0)
    await log.append(checkpointBody(6, 1, '1.1', { base: 5 }))
    const reader = await openLog(store)
    expect(reader.state).toEqual(log.state)
    expect(reader.recordsSinceSnapshot).toBe(1)
  })

  test('records are deleted only below a snapshot whose grace has passed', async () => {
    let now = 0
    const objects = new MemoryObjects(() => now)
    const store = new MemoryStore({ objects })
    const log = await leadLog(store)
    await log.append(deployBody('1.1'))
    await log.compact({ graceMs: 1000 })
    expect((await store.list('log/')).length).toBe(4)
    await log.append(checkpointBody(1, 1, '1.1'))
    now = 1000
    await log.compact({ graceMs: 1000 })
    expect((await store.list('log/')).map((o) => o.key)).toEqual([
      logRecordKey(3),
      logSnapshotKey(2),
      logSnapshotKey(3),
    ])
    expect((await openLog(store)).state).toEqual(log.state)
  })

  test('a process that slept while its key was freed does not believe its own append', async () => {
    let now = 0
    const objects = new MemoryObjects(() => now)
    const sleeper = await leadLog(new MemoryStore({ objects }), 'sleeper')
    const log = await leadLog(new MemoryStore({ objects }), 'awake')
    await log.compact({ graceMs: 0 })
    now = 1
    await log.append(deployBody('2.1'))
    await log.compact({ graceMs: 0 })
    expect(objects.get(logRecordKey(2))).toBeUndefined()
    await expect(sleeper.append(deployBody('1.1'))).rejects.toEqual(code('FENCED'))
    expect((await openLog(new MemoryStore({ objects }))).state).toEqual(log.state)
  })

  test('a candidate that slept through a compaction opens its epoch above everything', async () => {
    const objects = new MemoryObjects(() => 0)
    await (await openLog(new MemoryStore({ objects }))).ensureOwner(JOB)
    const sleeper = await openLog(new MemoryStore({ objects }))
    const log = await leadLog(new MemoryStore({ objects }), 'awake')
    await log.compact({ graceMs: 0 })
    expect(objects.get(logRecordKey(1))).toBeUndefined()
    expect(await sleeper.openEpoch({ run: 1, leader: 'sleeper', floor: 1 })).toBe(2)
    expect(sleeper.head).toBe(2)
  })

  test('a damaged snapshot is named', async () => {
    const store = new MemoryStore()
    const log = await leadLog(store)
    await log.compact()
    store.objects.overwrite(logSnapshotKey(1), Buffer.from('{}'))
    await expect(openLog(store)).rejects.toThrow(logSnapshotKey(1))
  })
})
