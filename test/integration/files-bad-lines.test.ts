import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { systemClock } from '#runtime/base/clock'
import { files, type BadLine, type JsonlOptions } from '#runtime/connectors/files/index'
import { sideOutput } from '#runtime/element/side-output'
import { SourceReadOperator } from '#runtime/operators/source-read'
import { OperatorHarness, type HarnessState } from '#runtime/testing/operator-harness'
import { tempDir } from '#tools/servers/temp-dir'

describe('lines that cannot be read', () => {
  const reader = async (path: string, options: JsonlOptions, states: HarnessState[] = []) => {
    const { size } = await stat(path)
    const harness = await OperatorHarness.open(
      { create: () => new SourceReadOperator(files.jsonl(path, options)), clock: systemClock },
      states,
    )
    if (states.length === 0) harness.send({ path, sizeBytes: size })
    return harness
  }

  test('files.jsonl() reads records and names the file and line of a bad one', async () => {
    await using dir = await tempDir('files')
    const path = join(dir.path, 'a.jsonl')
    await writeFile(path, '{"n":1}\n\n{"n":\n{"n":2}\n')
    await using failing = await reader(path, { onBadLine: 'fail' })
    await expect(failing.pollAll()).rejects.toMatchObject({
      retry: 'never',
      message: expect.stringMatching(/a\.jsonl, line 3: .* in "{\\"n\\":"\. Correct the file; or read with/),
    })
    await using skipping = await reader(path, { onBadLine: 'skip' })
    await skipping.pollAll()
    expect([skipping.values, skipping.counters.badRecords]).toEqual([[{ n: 1 }, { n: 2 }], 1])
  })

  test('bad lines go to a side output with file, line, text and error, and are not counted', async () => {
    await using dir = await tempDir('files')
    const path = join(dir.path, 'a.jsonl')
    const bad = sideOutput<BadLine>('bad')
    const schema = z.object({ n: z.number() })
    await writeFile(path, `{"n":1}\noops\n{"n":"x"}\n${'y'.repeat(40)}\n{"n":2}`)
    await using source = await reader(path, { onBadLine: bad, maxLineBytes: 20, schema })
    await source.pollAll()
    expect(source.values.filter((value) => !bad.holds(value))).toEqual([{ n: 1 }, { n: 2 }])
    expect(source.values.filter((value) => bad.holds(value)).map((value) => bad.unwrap(value))).toEqual([
      { file: path, line: 2, text: 'oops', error: expect.stringContaining('not valid JSON') },
      { file: path, line: 3, text: '{"n":"x"}', error: expect.stringMatching(/^\.n: .*expected number/) },
      { file: path, line: 4, text: 'y'.repeat(40), error: 'it is longer than 20 bytes' },
    ])
    expect(source.counters.badRecords).toBe(0)
  })

  test('after a restore at any poll each bad line comes once, under its number', async () => {
    await using dir = await tempDir('files')
    const path = join(dir.path, 'a.jsonl')
    const bad = sideOutput<BadLine>('bad')
    const isBad = (i: number) => i % 700 === 0
    const lines = Array.from({ length: 3000 }, (_, i) => (isBad(i) ? 'x'.repeat(90) : `{"n":${i}}`))
    await writeFile(path, lines.join('\n'))
    const options = { onBadLine: bad, maxLineBytes: 50 }
    for (let polls = 0; polls < 6; polls++) {
      await using first = await reader(path, options)
      let done = 0
      await first.pollAll(() => done++ >= polls)
      await using second = await reader(path, options, [await first.snapshot(1)])
      await second.pollAll()
      const all = [...first.values, ...second.values]
      expect(all).toHaveLength(3000)
      expect(all.filter((value) => bad.holds(value)).map((value) => bad.unwrap(value).line)).toEqual([
        1, 701, 1401, 2101, 2801,
      ])
    }
  })
})
