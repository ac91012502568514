import { randomInt } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { main } from '#sim/main'
import { MUTATIONS, type Mutation } from '#sim/mutations'
import { simulate } from '#sim/simulation'

const FIXED_SEEDS = 200
const FRESH_SEEDS = 50
/** Every planted bug must show within so many seeds. */
const MUTATION_SEEDS = 1500

async function failures(from: number, count: number): Promise<string[]> {
  const failed: string[] = []
  for (let seed = from; seed < from + count; seed++) {
    const { violations } = await simulate({ seed })
    if (violations.length > 0)
      failed.push(`${violations[0]} (replay: node sim/main.ts --seed ${seed} --trace)`)
  }
  return failed
}

async function firstNoticed(mutation: Mutation): Promise<string | undefined> {
  for (let seed = 1; seed <= MUTATION_SEEDS; seed++) {
    const { violations } = await simulate({ seed, mutation })
    if (violations[0] !== undefined) return violations[0]
  }
  return undefined
}

/** The invariants that the bug may break; what is noticed must be it, not chance. */
const BREAKS: Readonly<Record<Mutation, readonly string[]>> = {
  'skip-epoch-open': ['I3'],
  'restore-before-settled': ['I3'],
  'reuse-outside-base': ['I7'],
  'ack-before-upload': ['I7'],
  'drop-fence-check': ['I1'],
  'commit-before-log': ['I4'],
  'barrier-by-id-alone': ['cut', 'I5'],
  'ignore-adopted-ids': ['I5'],
  'expire-after-append': ['I5', 'I11'],
  'commit-on-savepoint': ['I4', 'I5'],
  'rollback-on-abort': ['I5'],
  'forget-prepared': ['I5'],
  'no-alignment': ['cut', 'I5'],
  'snapshot-after-records': ['cut', 'I5'],
}

describe('the whole checkpoint protocol under crashes, pauses, partitions, a slow store and a forgetful Redis', () => {
  test(`keeps every invariant over ${FIXED_SEEDS} fixed seeds`, async () => {
    expect(await failures(1, FIXED_SEEDS)).toEqual([])
  })

  test('keeps every invariant over fresh seeds', async () => {
    const from = randomInt(1_000_000, 1_000_000_000)
    process.stdout.write(`fresh seeds: --from ${from} --seeds ${FRESH_SEEDS}\n`)
    expect(await failures(from, FRESH_SEEDS)).toEqual([])
  })

  test('a seed replays identically, another seed gives another run', async () => {
    const [first, again, other] = [
      await simulate({ seed: 7 }),
      await simulate({ seed: 7 }),
      await simulate({ seed: 8 }),
    ]
    expect(again).toEqual(first)
    expect(other.traceHash).not.toBe(first.traceHash)
  })

  test('the runs are worth it: leaders change, attempts are adopted and redeployed, checkpoints and savepoints complete', async () => {
    const totals = { checkpoints: 0, savepoints: 0, deployments: 0, epochs: 0, adoptions: 0 }
    for (let seed = 1; seed <= 40; seed++) {
      const result = await simulate({ seed })
      for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += result[key]
    }
    expect(totals.checkpoints).toBeGreaterThan(200)
    expect(totals.savepoints).toBeGreaterThan(10)
    expect(totals.deployments).toBeGreaterThan(50)
    expect(totals.epochs).toBeGreaterThan(50)
    expect(totals.adoptions).toBeGreaterThan(5)
  })
})

describe('planted bugs are noticed', () => {
  test.each(Object.keys(MUTATIONS) as Mutation[])('%s', async (mutation) => {
    const violation = await firstNoticed(mutation)
    expect(
      violation,
      `${mutation} (${MUTATIONS[mutation]}) was not noticed in ${MUTATION_SEEDS} seeds`,
    ).toBeDefined()
    expect(BREAKS[mutation]).toContain(violation?.split(':')[0])
  })
})

describe('sim/main.ts', () => {
  const run = async (...args: string[]) => {
    let text = ''
    const code = await main(args, { write: (part) => void (text += part), isTerminal: false })
    return { code, text }
  }

  test('exits with 0 and a summary when all seeds hold', async () => {
    const { code, text } = await run('--seeds', '3', '--from', '5')
    expect(code).toBe(0)
    expect(text).toMatch(/^0 of 3 seeds failed; \d+ checkpoints/)
  })

  test('says how to replay a seed that fails, and the replay prints the trace', async () => {
    const { code, text } = await run('--seeds', '50', '--mutation', 'commit-before-log')
    expect(code).toBe(0)
    const seed = /--seed (\d+) --trace --mutation commit-before-log/.exec(text)?.[1]
    const replay = await run('--seed', seed as string, '--trace', '--mutation', 'commit-before-log')
    expect(replay.code).toBe(1)
    expect(replay.text).toContain('VIOLATION I4')
  })

  test('wrong usage exits with 2', async () => {
    for (const args of [['--mutation', 'nothing'], ['--seeds', 'many'], ['--what']])
      expect((await run(...args)).code).toBe(2)
  })
})
