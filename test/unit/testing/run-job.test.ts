import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import {
  boundedOutOfOrder,
  defineJob,
  files,
  generator,
  tumbling,
  type,
  valueState,
  type Duration,
} from 'weir-stream'
import { at, runJob } from 'weir-stream/testing'
import * as z from 'zod'
import { tempDir } from '#tools/servers/temp-dir'

interface Click {
  readonly page: string
  readonly at: number
}

const perSecond = defineJob(
  { args: z.object({ lateness: z.string().default('0s').pipe(z.custom<Duration>()) }) },
  ({ env, args }) => {
    env
      .source('clicks', files.jsonl<Click>('nowhere/', { onBadLine: 'skip' }))
      .assignTimestamps((click) => click.at, boundedOutOfOrder('0s'))
      .keyBy((click) => click.page)
      .window('per-second', tumbling('1s'), { allowedLateness: args.lateness })
      .count()
      .map(({ window, count }) => [window.start, count] as const)
      .sink('counts', files.jsonl('nowhere/'))
  },
)
const click = (ms: number): Click => ({ page: '/', at: ms })

describe('runJob()', () => {
  test.each([1, 3])('gives what each sink was given, parallelism %i', async (parallelism) => {
    const result = await runJob(perSecond, {
      sources: { clicks: [click(100), click(200), click(1100)] },
      parallelism,
    })
    expect(result).toEqual({
      sinks: {
        counts: [
          [0, 2],
          [1000, 1],
        ],
      },
      late: 0,
      bad: 0,
    })
  })

  test('event time goes on after each record, so that what is late is certain', async () => {
    const clicks = [click(100), click(2500), click(300)]
    const strict = await runJob(perSecond, { sources: { clicks } })
    expect(strict.late).toBe(1)
    expect(strict.sinks.counts).toEqual([
      [0, 1],
      [2000, 1],
    ])
    const patient = await runJob(perSecond, { sources: { clicks }, args: { lateness: '10s' } })
    expect(patient.late).toBe(0)
    expect(patient.sinks.counts).toContainEqual([0, 2])
  })

  test('processing time passes between values that have one, and only there', async () => {
    const quiet = defineJob(({ env }) => {
      env
        .source('beats', generator({ make: String }))
        .keyBy((beat) => beat)
        .process('silence', {
          emits: type<string>(),
          state: { beats: valueState(0) },
          onRecord(_, { timers }) {
            timers.setProcessingTimer(timers.now() + 3_600_000)
          },
          onTimer({ key, time }, { out }) {
            out(`${key} was silent at ${time}`)
          },
        })
        .sink('out', files.jsonl('nowhere/'))
    })
    const { sinks } = await runJob(quiet, { sources: { beats: ['a', at(7_200_000, 'b')] } })
    expect(sinks.out).toEqual(['a was silent at 3600000'])
  })

  test('takes another source that ends, and counts what it cannot read', async () => {
    await using dir = await tempDir('run-job')
    const fixture = join(dir.path, 'clicks.jsonl')
    await writeFile(fixture, `${JSON.stringify(click(5))}\nnot JSON\n`)
    const clicks = files.jsonl<Click>(fixture, { onBadLine: 'skip' })
    expect(await runJob(perSecond, { sources: { clicks } })).toEqual({
      sinks: { counts: [[0, 1]] },
      late: 0,
      bad: 1,
    })
  })

  test.each([
    [{}, 'source "clicks" of the job has no input'],
    [{ clicks: [], views: [] }, 'the job has no source "views"'],
    [{ clicks: generator({ make: String }) }, 'the input of "clicks" is a source that has no end'],
  ])('refuses sources that are not those of the job: %#', async (sources, message) => {
    await expect(runJob(perSecond, { sources })).rejects.toThrow(message)
  })

  test('fails with what the job fails with', async () => {
    const bad = [{ page: '/', at: Number.NaN }]
    await expect(runJob(perSecond, { sources: { clicks: bad } })).rejects.toThrow(
      'assignTimestamps returned NaN',
    )
  })

  test('knows the arguments of the job', async () => {
    // @ts-expect-error: lateness is a string
    await expect(runJob(perSecond, { sources: { clicks: [] }, args: { lateness: 5 } })).rejects.toThrow(
      'args.lateness',
    )
    const strict = defineJob({ args: z.object({ input: z.string() }) }, ({ env, args }) => {
      env.source('lines', files.lines(args.input)).sink('out', files.jsonl('nowhere/'))
    })
    // @ts-expect-error: input is needed
    await expect(runJob(strict, { sources: { lines: [] } })).rejects.toThrow('args.input')
  })
})
