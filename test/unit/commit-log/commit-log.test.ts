import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { type MemoryHooks, MemoryObjects, MemoryStore } from '#runtime/storage/memory-store'
import { logRecordKey, logSnapshotKey } from '#runtime/storage/paths'
import {
  append,
  checkpointBody,
  closeBody,
  deployBody,
  hastyClock,
  JOB,
  leadLog,
  openLog,
} from '#test/kit/commit-log'

const code = (expected: string) => expect.objectContaining({ code: expected })
const unavailable = () => new WeirError('STO_UNAVAILABLE', 'no answer')
const never = () => new Promise<void>(() => undefined)

describe('owner', () => {
  test('the first job to come owns the log, and owns it again after a restart', async () => {
    const store = new MemoryStore()
    await (await openLog(store)).ensureOwner(JOB)
    const again = await openLog(store)
    await again.ensureOwner(JOB)
    expect(again.state.owner).toMatchObject(JOB)
    expect(again.state.head).toBe(0)
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
    const { log, term } = await leadLog(store)
    expect(term.epoch).toBe(1)
    expect((await log.openEpoch({ run: 1, leader: 'a', floor: 7 })).epoch).toBe(7)
    expect((await (await openLog(store)).openEpoch({ run: 1, leader: 'b', floor: 2 })).epoch).toBe(8)
  })

  test('of many candidates each gets its own epoch and seq, and only the last may append', async () => {
    const objects = new MemoryObjects()
    await (await openLog(new MemoryStore({ objects }))).ensureOwner(JOB)
    const logs = await Promise.all(Array.from({ length: 8 }, () => openLog(new MemoryStore({ objects }))))
    const terms = await Promise.all(
      logs.map((log, i) => log.openEpoch({ run: 1, leader: `jm-${i}`, floor: 1 })),
    )
    const epochs = terms.map((t) => t.epoch)
    expect(new Set(epochs).size).toBe(8)
    const outcomes = await Promise.all(terms.map((t) => t.append(deployBody(`${t.epoch}.1`))))
    const winners = outcomes.flatMap((o, i) => (o.kind === 'appended' ? [epochs[i]] : []))
    expect(winners).toEqual([Math.max(...epochs)])
    for (const outcome of outcomes)
      if (outcome.kind !== 'appended')
        expect(outcome).toMatchObject({ kind: 'over', error: { code: 'FENCED' } })
  })

  test('a lower run is refused for good', async () => {
    const store = new MemoryStore()
    await leadLog(store, { run: 2 })
    await expect((await openLog(store)).openEpoch({ run: 1, leader: 'b', floor: 1 })).rejects.toEqual(
      code('FENCED'),
    )
  })

  test('a closed run may only be followed by a greater one, or opened by a tool', async () => {
    const store = new MemoryStore()
    const { term } = await leadLog(store)
    await append(term, closeBody('Finished'))
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
    const hooks: MemoryHooks = {}
    const store = new MemoryStore({ hooks })
    const log = await openLog(store, { clock: hastyClock() })
    await log.ensureOwner(JOB)
    let losses = 1
    hooks.after = (operation) => {
      if (operation === 'create' && losses-- > 0) throw unavailable()
    }
    expect((await log.openEpoch({ run: 1, leader: 'a', floor: 1 })).epoch).toBe(1)
    expect(log.state.head).toBe(1)
  })

  test('opening waits out an outage of the store', async () => {
    const hooks: MemoryHooks = {}
    const clock = hastyClock()
    const log = await openLog(new MemoryStore({ hooks }), { clock })
    await log.ensureOwner(JOB)
    const recovers = clock.monotonic() + 600_000
    hooks.before = (operation) => {
      if (operation === 'create' && clock.monotonic() < recovers) throw unavailable()
    }
    expect((await log.openEpoch({ run: 1, leader: 'a', floor: 1 })).epoch).toBe(1)
    expect(clock.monotonic()).toBeGreaterThanOrEqual(recovers)
  })

  test.each(['list', 'create'])(
    'opening ends with its signal although the store does not answer %s, and the log can be led later',
    async (operation) => {
      const hooks: MemoryHooks = {}
      const log = await openLog(new MemoryStore({ hooks }))
      await log.ensureOwner(JOB)
      hooks.before = (asked) => (asked === operation ? never() : undefined)
      const controller = new AbortController()
      const reason = new WeirError('FENCED', 'the lease is lost')
      const opening = log.openEpoch({ run: 1, leader: 'a', floor: 1, signal: controller.signal })
      await new Promise((resolve) => setImmediate(resolve))
      controller.abort(reason)
      await expect(opening).rejects.toBe(reason)
      delete hooks.before
      expect((await log.openEpoch({ run: 1, leader: 'a', floor: 1 })).epoch).toBe(1)
    },
  )

  test('an epoch whose opening was given up and stands in the log all the same is never used', async () => {
    const hooks: MemoryHooks = {}
    const store = new MemoryStore({ hooks })
    const log = await openLog(store)
    await log.ensureOwner(JOB)
    const controller = new AbortController()
    hooks.after = (operation) => {
      if (operation === 'create') controller.abort(new WeirError('FENCED', 'the lease is lost'))
    }
    const { signal } = controller
    await expect(log.openEpoch({ run: 1, leader: 'a', floor: 1, signal })).rejects.toEqual(code('FENCED'))
    delete hooks.after
    expect(store.objects.get(logRecordKey(1))).toBeDefined()
    expect((await log.openEpoch({ run: 1, leader: 'a', floor: 1 })).epoch).toBe(2)
    expect((await openLog(store)).state).toEqual(log.state)
  })

  test('of two openings by one process only the later lasts', async () => {
    const { log, term: first } = await leadLog(new MemoryStore())
    const opened = await Promise.all(['a', 'b'].map((leader) => log.openEpoch({ run: 1, leader, floor: 1 })))
    expect(opened.map((t) => t.epoch)).toEqual([2, 3])
    expect([first, ...opened].map((t) => t.over?.code)).toEqual(['FENCED', 'FENCED', undefined])
    expect(await opened[0]?.append(deployBody('2.1'))).toMatchObject({ kind: 'over' })
    expect(await opened[1]?.append(deployBody('3.1'))).toMatchObject({ kind: 'appended' })
  })
})

describe('reading', () => {
  test('a missing record below the head is named', async () => {
    const store = new MemoryStore()
    const { term } = await leadLog(store)
    await append(term, deployBody('1.1'))
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

  test('refresh sees what others appended and ends a term that is over', async () => {
    const objects = new MemoryObjects()
    const old = await leadLog(new MemoryStore({ objects }))
    await leadLog(new MemoryStore({ objects }), { leader: 'young' })
    expect((await old.log.refresh()).epoch).toBe(2)
    expect(old.term.over).toMatchObject({ code: 'FENCED', context: { ownEpoch: 1, epoch: 2 } })
  })

  test('refresh is one request when nothing is new', async () => {
    const hooks: MemoryHooks = {}
    const { log } = await leadLog(new MemoryStore({ hooks }))
    const requests: string[] = []
    hooks.before = (operation) => void requests.push(operation)
    await log.refresh()
    expect(requests).toEqual(['list'])
  })

  test('a snapshot that goes while it is being read is not missed', async () => {
    const objects = new MemoryObjects()
    const { log } = await leadLog(new MemoryStore({ objects }), {
      compaction: { afterRecords: 1, graceMs: 0 },
    })
    const deploy = async (n: number) => {
      const term = await log.openEpoch({ run: 1, leader: 'a', floor: n })
      await append(term, deployBody(`${term.epoch}.1`))
      await term.compactIfDue()
    }
    await deploy(1)
    let moved = false
    const reader = new MemoryStore({
      objects,
      hooks: {
        before: async (operation) => {
          if (operation !== 'get' || moved) return
          moved = true
          await deploy(2)
        },
      },
    })
    expect((await openLog(reader)).state).toEqual(log.state)
  })
})

describe('compaction', () => {
  const always = (graceMs: number) => ({ compaction: { afterRecords: 1, graceMs } })

  test('a reader gets the same state from snapshot and tail as from all records', async () => {
    const store = new MemoryStore()
    const { term } = await leadLog(store, { compaction: { afterRecords: 8, graceMs: 3_600_000 } })
    await append(term, deployBody('1.1'))
    for (let id = 1; id <= 6; id++)
      await append(term, checkpointBody(id, 1, '1.1', { base: id - 1, retires: id > 2 ? [id - 2] : [] }))
    await term.compactIfDue()
    expect((await store.list('log/snap-')).map((o) => o.key)).toEqual([logSnapshotKey(7)])
    expect((await openLog(store)).state).toEqual(term.state)
  })

  test('records are deleted only below a snapshot whose grace has passed', async () => {
    let now = 0
    const objects = new MemoryObjects(() => now)
    const store = new MemoryStore({ objects })
    const { term } = await leadLog(store, always(1000))
    await term.compactIfDue()
    await append(term, deployBody('1.1'))
    await term.compactIfDue()
    expect((await store.list('log/')).map((o) => o.key)).toEqual([
      ...[0, 1, 2].map(logRecordKey),
      ...[1, 2].map(logSnapshotKey),
    ])
    now = 1000
    await append(term, checkpointBody(1, 1, '1.1'))
    await term.compactIfDue()
    expect((await store.list('log/')).map((o) => o.key)).toEqual([
      logRecordKey(3),
      logSnapshotKey(2),
      logSnapshotKey(3),
    ])
    expect((await openLog(store)).state).toEqual(term.state)
  })

  test('whatever is appended counts: a job that only restarts keeps its log short too', async () => {
    let now = 0
    const store = new MemoryStore({ objects: new MemoryObjects(() => now) })
    const { term } = await leadLog(store, { compaction: { afterRecords: 10, graceMs: 1000 } })
    for (let n = 1; n <= 500; n++) {
      now += 100
      await append(term, deployBody(`1.${n}`))
      await term.compactIfDue()
    }
    expect((await store.list('log/')).length).toBeLessThan(40)
  })

  test('epochs count too: leaders that only take over from each other keep the log short', async () => {
    let now = 0
    const store = new MemoryStore({ objects: new MemoryObjects(() => now) })
    const { log } = await leadLog(store, { compaction: { afterRecords: 10, graceMs: 1000 } })
    for (let n = 1; n <= 500; n++) {
      now += 100
      await (await log.openEpoch({ run: 1, leader: 'a', floor: 1 })).compactIfDue()
    }
    expect((await store.list('log/')).length).toBeLessThan(40)
  })

  test('one runs at a time', async () => {
    const hooks: MemoryHooks = {}
    const { term } = await leadLog(new MemoryStore({ hooks }), always(0))
    await term.compactIfDue()
    const snapshots: string[] = []
    const gate = Promise.withResolvers<void>()
    hooks.before = (operation, key) => {
      if (operation !== 'create' || !key.startsWith('log/snap-')) return
      snapshots.push(key)
      return gate.promise
    }
    for (let n = 1; n <= 3; n++) await append(term, deployBody(`1.${n}`))
    expect(snapshots).toEqual([logSnapshotKey(2)])
    gate.resolve()
    await term.compactIfDue()
  })

  test('a failure changes nothing for the append, and a later append makes up for it', async () => {
    const hooks: MemoryHooks = {}
    const store = new MemoryStore({ hooks })
    const { term } = await leadLog(store, always(0))
    await term.compactIfDue()
    const snapshots = async () => (await store.list('log/snap-')).map((o) => o.key)
    hooks.before = (_, key) => {
      if (key.startsWith('log/snap-') && !key.endsWith('-')) throw unavailable()
    }
    await append(term, deployBody('1.1'))
    await term.compactIfDue()
    delete hooks.before
    expect(await snapshots()).toEqual([logSnapshotKey(1)])
    await append(term, deployBody('1.2'))
    await term.compactIfDue()
    expect(await snapshots()).toEqual([logSnapshotKey(3)])
  })

  test('snapshots do not pile up where nothing can be deleted', async () => {
    const hooks: MemoryHooks = {}
    const store = new MemoryStore({ hooks })
    const { term } = await leadLog(store, { compaction: { afterRecords: 10, graceMs: 0 } })
    hooks.before = (operation) => {
      if (operation === 'delete') throw new WeirError('STO_DENIED', 'no permission to delete')
    }
    for (let n = 1; n <= 100; n++) {
      await append(term, deployBody(`1.${n}`))
      await term.compactIfDue()
    }
    expect((await store.list('log/snap-')).length).toBe(10)
  })

  test('a leader that slept while its key was freed does not believe its own append', async () => {
    let now = 0
    const objects = new MemoryObjects(() => now)
    const sleeper = await leadLog(new MemoryStore({ objects }), { leader: 'sleeper' })
    const { term } = await leadLog(new MemoryStore({ objects }), { leader: 'awake', ...always(0) })
    for (let n = 1; n <= 2; n++) {
      now++
      await append(term, deployBody(`2.${n}`))
      await term.compactIfDue()
    }
    expect(objects.get(logRecordKey(2))).toBeUndefined()
    expect(await sleeper.term.append(deployBody('1.1'))).toMatchObject({
      kind: 'over',
      error: { code: 'FENCED', message: expect.stringContaining('compacted') as string },
    })
    expect(sleeper.log.state.deploy).toBeUndefined()
    expect((await openLog(new MemoryStore({ objects }))).state).toEqual(term.state)
  })

  test('a leader that slept finds the snapshot at its very seq too', async () => {
    const objects = new MemoryObjects()
    const sleeper = await leadLog(new MemoryStore({ objects }), { leader: 'sleeper' })
    const { term } = await leadLog(new MemoryStore({ objects }), { leader: 'awake' })
    const young = new MemoryStore({ objects })
    await young.create(logSnapshotKey(2), Buffer.from(JSON.stringify(term.state)))
    await young.delete([logRecordKey(2)])
    expect(await sleeper.term.append(deployBody('1.1'))).toMatchObject({ kind: 'over' })
  })

  describe('a reader is not deceived by a record that a process which slept put into a freed place', () => {
    /**
     * Three epochs; the leader of the first sleeps at seq 2. `deceive`: a snapshot comes, deletion
     * gets as far as seq 2, and the sleeper wakes and takes that place: a sequence that could be.
     */
    async function sleepers() {
      const objects = new MemoryObjects()
      const sleeper = await leadLog(new MemoryStore({ objects }), { leader: 'sleeper' })
      const hooks: MemoryHooks = {}
      const reader = await openLog(new MemoryStore({ objects, hooks }))
      await leadLog(new MemoryStore({ objects }), { leader: 'awake' })
      const { term } = await leadLog(new MemoryStore({ objects }), { leader: 'awake' })
      const deceive = async () => {
        const store = new MemoryStore({ objects })
        await store.create(logSnapshotKey(3), Buffer.from(JSON.stringify(term.state)))
        await store.delete([0, 1, 2].map(logRecordKey))
        await sleeper.term.append(deployBody('1.1'))
        expect(objects.get(logRecordKey(2))).toBeDefined()
      }
      /** Once, ahead of the reader's next operation of this kind. */
      const deceiveAhead = (operation: string) => {
        hooks.before = (asked) => {
          if (asked !== operation) return
          delete hooks.before
          return deceive()
        }
      }
      return { objects, reader, term, deceive, deceiveAhead, hooks }
    }

    test('who goes on after it', async () => {
      const { reader, term, deceive } = await sleepers()
      await deceive()
      expect(await reader.refresh()).toEqual(term.state)
    })

    test('who goes on while it happens', async () => {
      const { reader, term, deceiveAhead } = await sleepers()
      deceiveAhead('get')
      expect(await reader.refresh()).toEqual(term.state)
    })

    test('who begins while it happens', async () => {
      const { objects, term, deceive } = await sleepers()
      // Snapshot 1 holds OWNER and EPOCH_OPEN 1; seq 2 is the first record behind it.
      const begun = { ...term.state, head: 1, epoch: 1, leader: 'sleeper' }
      await new MemoryStore({ objects }).create(logSnapshotKey(1), Buffer.from(JSON.stringify(begun)))
      let gets = 0
      const hooks: MemoryHooks = {
        before: (operation) => (operation === 'get' && ++gets === 2 ? deceive() : undefined),
      }
      expect((await openLog(new MemoryStore({ objects, hooks }))).state).toEqual(term.state)
    })
  })

  test('a candidate that slept through a compaction opens its epoch above everything', async () => {
    const objects = new MemoryObjects(() => 0)
    await (await openLog(new MemoryStore({ objects }))).ensureOwner(JOB)
    const sleeper = await openLog(new MemoryStore({ objects }))
    const { term } = await leadLog(new MemoryStore({ objects }), { leader: 'awake', ...always(0) })
    await append(term, deployBody('1.1'))
    await term.compactIfDue()
    expect(objects.get(logRecordKey(1))).toBeUndefined()
    expect((await sleeper.openEpoch({ run: 1, leader: 'sleeper', floor: 1 })).epoch).toBe(2)
    expect(sleeper.state.head).toBe(3)
  })

  test('a damaged snapshot is named', async () => {
    const store = new MemoryStore()
    const { term } = await leadLog(store, always(0))
    await append(term, deployBody('1.1'))
    await term.compactIfDue()
    store.objects.overwrite(logSnapshotKey(2), Buffer.from('{}'))
    await expect(openLog(store)).rejects.toThrow(logSnapshotKey(2))
  })
})
