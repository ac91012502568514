/** Slots as real threads, whatever the code of the job in them does. */
import { MessagePort } from 'node:worker_threads'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { bundleJob } from '#cli/build/bundle'
import { buildPlan } from '#runtime/graph/execution-plan'
import { buildGraph } from '#runtime/graph/job-definition'
import { loadJobModule } from '#runtime/graph/load-module'
import { moduleOfText, readModule, type PlannedJob } from '#runtime/job-manager/plan-job'
import type { FromSlot, SlotAssignment } from '#runtime/task/slot-messages'
import type { SlotThread } from '#runtime/task-manager/slot-threads'
import { workerSlots } from '#runtime/task-manager/worker-slots'
import { JOB } from '#test/kit/commit-log'
import { eventually } from '#tools/servers/eventually'

const threads: SlotThread[] = []
afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.terminate()
})

/** A job whose only function does `body` with each number. */
async function planned(body: string, read = (path: string) => readModule(path, {})): Promise<PlannedJob> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-slot-'))
  const path = join(directory, 'job.ts')
  await writeFile(
    path,
    `import { defineJob, files, generator } from 'weir-stream'
export default defineJob(({ env }) => {
  env.source('numbers', generator({ count: 1000, make: (n) => n })).map('work', (n) => { ${body}; return n })
    .sink('out', files.jsonl('${directory}/out'))
})
`,
  )
  const module = await read(path)
  const graph = buildGraph(await loadJobModule(module), {})
  const input = { module, parallelism: 1, maxParallelism: 128 }
  return { ...input, plan: buildPlan(graph, input) }
}

/** The same, as `weir build` puts it into a file beside it. */
async function bundled(path: string) {
  const outFile = `${path}.bundle.mjs`
  const { text } = await bundleJob(path, { outFile })
  return moduleOfText(outFile, text, {})
}

/** Of a task of `vertex`: others of the thread run before it. */
const positionIn = (thread: SlotThread, vertex: string) =>
  eventually(
    async () => {
      const position = await thread.position()
      return position?.vertex === vertex ? position : undefined
    },
    { what: `a position in ${vertex}`, limitMs: 8000 },
  )

const assignmentOf = ({ plan, module }: PlannedJob): SlotAssignment => ({
  job: JOB,
  taskManager: 'tm-1',
  slot: 0,
  logLevel: 'Error',
  s3: undefined,
  deployment: {
    attempt: '1.1',
    planHash: plan.hash,
    plan,
    parallelism: 1,
    module,
    places: plan.vertices.map((v) => ({ vertex: v.id, subtask: 0, taskManager: 'tm-1', slot: 0 })),
    dataAddresses: {},
    sinks: { committedUpTo: 0, savepoints: [] },
  },
  lineage: 'succession',
  restore: {},
  siblings: new Map(),
})

function started() {
  const printed: string[] = []
  const thread = workerSlots((text) => printed.push(text)).start()
  threads.push(thread)
  const heard: FromSlot[] = []
  const said = <T extends FromSlot['type']>(type: T) =>
    eventually(() => heard.find((m): m is Extract<FromSlot, { type: T }> => m.type === type), {
      what: type,
      limitMs: 8000,
    })
  return { thread, heard, said, printed }
}

describe('a slot’s thread', () => {
  test('runs the job’s code', async () => {
    const { thread, heard, said } = started()
    thread.deploy(assignmentOf(await planned('')), (m) => heard.push(m))
    await said('ready')
    thread.send({ type: 'start' })
    await said('finished')
  })

  test.each([
    ['throws', 'throw new Error("out of luck")', /out of luck/],
    ['leaves a rejected promise behind', 'Promise.reject(new Error("forgotten"))', /forgotten/],
    ['throws in a callback of its own', 'setTimeout(() => { throw new Error("later") })', /later/],
    ['ends the process', 'process.exit(3)', /ended with code 3; job code must not call process.exit/],
  ])('fails when the code %s, and the process lives', async (_, body, message) => {
    const { thread, heard, said } = started()
    thread.deploy(assignmentOf(await planned(body)), (m) => heard.push(m))
    await said('ready')
    thread.send({ type: 'start' })
    const { error } = await said('failed')
    expect(error.code).toBe('USR_FAILED')
    expect(error.message).toMatch(message)
  })

  test('ends within a moment although its code never returns', async () => {
    const { thread, heard, said } = started()
    thread.deploy(assignmentOf(await planned('for (;;);')), (m) => heard.push(m))
    await said('ready')
    thread.send({ type: 'start' })
    const start = performance.now()
    await thread.terminate()
    await thread.terminate()
    expect(performance.now() - start).toBeLessThan(3000)
  })

  test('says where it is although its code never returns', async () => {
    const { thread, heard, said } = started()
    thread.deploy(assignmentOf(await planned('let x = 0; for (;;) x = (x * 31 + 7) % 1000003')), (m) =>
      heard.push(m),
    )
    await said('ready')
    expect(await thread.position()).toBeUndefined()
    thread.send({ type: 'start' })
    const position = await positionIn(thread, 'numbers')
    expect(position).toMatchObject({ vertex: 'numbers', subtask: 0, operator: 'work' })
    expect(position.at).toMatch(/job\.ts:3:\d+\)$/)
  })

  test('says where it is in the file of its author, also in a bundle', async () => {
    const { thread, heard, said } = started()
    const body = 'let x = 0; for (;;) x = (x * 31 + 7) % 1000003'
    thread.deploy(assignmentOf(await planned(body, bundled)), (m) => heard.push(m))
    await said('ready')
    thread.send({ type: 'start' })
    const { at } = await positionIn(thread, 'numbers')
    expect(at).toMatch(/[^.]job\.ts:3:\d+\)$/)
  })

  test('hands on what the code writes to standard output', async () => {
    const { thread, heard, said, printed } = started()
    thread.deploy(assignmentOf(await planned('if (n === 7) console.log("seven")')), (m) => heard.push(m))
    await said('ready')
    thread.send({ type: 'start' })
    await eventually(() => printed.join('').includes('seven\n'), { what: 'seven', limitMs: 8000 })
  })

  test('that dies before it is deployed to says so when it is', async () => {
    const { thread, heard } = started()
    await thread.terminate()
    thread.deploy(assignmentOf(await planned('')), (m) => heard.push(m))
    expect(heard).toMatchObject([{ type: 'failed', error: { code: 'USR_FAILED' } }])
  })
})

test('every two slots of a process have a channel of their own', () => {
  const ports = workerSlots(() => undefined).connect([0, 1, 2])
  expect([...ports].map(([slot, others]) => [slot, [...others.keys()].toSorted()])).toEqual([
    [0, [1, 2]],
    [1, [0, 2]],
    [2, [0, 1]],
  ])
  for (const others of ports.values())
    for (const port of others.values()) if (port instanceof MessagePort) port.close()
})
