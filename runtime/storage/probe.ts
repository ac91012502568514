import { randomBytes } from 'node:crypto'
import { WeirError } from '#runtime/base/errors'
import type { CheckpointStore } from './checkpoint-store.ts'

const RACERS = 20

/**
 * Proves once per run that the store gives conditional create: two creates of one key, then 20 at
 * the same time. Leaves nothing behind.
 * @throws {WeirError} STO_UNSAFE when it does not; the store's own errors when it cannot be
 *   reached.
 */
export async function probeStore(store: CheckpointStore): Promise<void> {
  const id = randomBytes(12).toString('hex')
  const twice = `probe/${id}-twice`
  const race = `probe/${id}-race`
  try {
    const first = await store.create(twice, Buffer.from('first'))
    const second = await store.create(twice, Buffer.from('second'))
    if (first !== 'created' || second !== 'exists')
      throw unsafe(
        store,
        `creating one key twice answered ${first}, then ${second}; expected created, then exists`,
      )
    if (Buffer.from(await store.get(twice)).toString() !== 'first')
      throw unsafe(store, 'a second create changed the object')
    const answers = await Promise.all(
      Array.from({ length: RACERS }, (_, i) => tolerant(store.create(race, Buffer.from(`racer ${i}`)))),
    )
    const winners = answers.filter((answer) => answer === 'created').length
    if (winners > 1)
      throw unsafe(store, `${winners} of ${RACERS} concurrent creates of one key succeeded; expected one`)
    if ((await store.list(`probe/${id}-`)).length !== 2)
      throw unsafe(store, 'objects just created are missing from the listing')
  } finally {
    await store.delete([twice, race]).catch(() => undefined)
  }
}

/**
 * A racer may be told to come again (409 ConditionalRequestConflict): that is no win, and no proof
 * against the store.
 */
async function tolerant(create: Promise<'created' | 'exists'>): Promise<'created' | 'exists' | 'unknown'> {
  try {
    return await create
  } catch (error) {
    if (error instanceof WeirError && error.code === 'STO_UNAVAILABLE') return 'unknown'
    throw error
  }
}

const unsafe = (store: CheckpointStore, what: string): WeirError =>
  new WeirError(
    'STO_UNSAFE',
    `${store.url} cannot hold checkpoints safely: ${what}. ` +
      'Weir needs a store with atomic conditional create ' +
      '(S3 If-None-Match: *, or a file system with hard links).',
  )
