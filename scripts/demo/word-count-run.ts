import { watch } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { LocalCluster } from '#cli/local/local-cluster'
import type { LocalJob } from '#cli/local/local-job'
import { lostLine } from '#cli/local/run-view'
import { eventLines, recoveryMs, recoveryParts } from '#cli/progress/event-lines'
import type { RecoveryView } from '#runtime/contract/rest'
import { committedFiles } from '#tools/word-count/committed-output'

export interface DemoRun {
  readonly firstResultMs: number | undefined
  readonly checkpointMs: readonly number[]
  readonly recovery: RecoveryView | undefined
  readonly totalMs: number
  readonly recordsPerSecond: number
  /** False when the job had read everything before two checkpoints had completed. */
  readonly killed: boolean
}

export interface DemoRunOptions {
  readonly module: string
  readonly input: string
  readonly output: string
  readonly stateDir: string
  readonly say: (line: string) => void
}

const CHECKPOINTS_BEFORE_KILL = 2
const WHOLE_RUN_MS = 300_000

/**
 * Runs the word count on two TaskManagers and kills one of them on the way.
 * @throws when the job does not finish
 */
export async function runWordCount(options: DemoRunOptions): Promise<DemoRun> {
  const { output, stateDir, say } = options
  await mkdir(output, { recursive: true })
  const startedAt = performance.now()
  const firstResult = watchFirstResult(output, startedAt)
  const cluster = await LocalCluster.start({ stateDir, job: jobOf(options) })
  const watched = watchJob(cluster, say)
  const limit = setTimeout(() => void cluster.kill(), WHOLE_RUN_MS)
  const outcome = await cluster.ended
  clearTimeout(limit)
  firstResult.close()
  if (outcome.state !== 'Finished')
    throw new Error(`The job ended as ${outcome.state}: ${outcome.message}. Logs: ${cluster.run.state.logs}`)
  const totalMs = performance.now() - startedAt
  const records = outcome.facts?.records.in ?? 0
  return {
    ...watched,
    firstResultMs: firstResult.afterMs(),
    recovery: outcome.facts?.recoveries[0],
    totalMs,
    recordsPerSecond: (records / totalMs) * 1000,
  }
}

const jobOf = ({ module, input, output }: DemoRunOptions): LocalJob => ({
  name: 'word-count',
  file: module,
  module: { path: module },
  args: { input, output },
  taskManagers: 2,
  slots: 2,
  checkpoint: { intervalMs: 1000, minPauseMs: 100 },
  restart: {},
})

/** Notes when the first file of results is there. */
function watchFirstResult(output: string, startedAt: number) {
  let firstMs: number | undefined
  const watcher = watch(output, { recursive: true }, () => {
    if (firstMs !== undefined) return
    const atMs = performance.now() - startedAt
    void committedFiles(output).then((files) => {
      if (files.length > 0) firstMs ??= atMs
    })
  })
  return { afterMs: () => firstMs, close: () => watcher.close() }
}

/** Says what happens, kills one TaskManager after some checkpoints; what it gives grows. */
function watchJob(
  cluster: LocalCluster,
  say: DemoRunOptions['say'],
): Pick<DemoRun, 'checkpointMs' | 'killed'> {
  const seen = { checkpointMs: [] as number[], killed: false }
  let before = cluster.facts()
  cluster.events.on('lost', (name, exit) => say(lostLine(name, exit)))
  cluster.events.on('facts', (facts) => {
    for (const line of eventLines(before, facts)) say(line)
    const { last, completed } = facts.checkpoint
    if (last !== undefined && last.id !== before?.checkpoint.last?.id) seen.checkpointMs.push(last.durationMs)
    before = facts
    if (seen.killed || facts.state !== 'Running' || completed < CHECKPOINTS_BEFORE_KILL) return
    seen.killed = true
    say('kill -9 of TaskManager tm-2')
    cluster.killTaskManager(1)
  })
  return seen
}

export const recoveryText = (recovery: RecoveryView): string =>
  `${Math.round(recoveryMs(recovery))} ms (${recoveryParts(recovery)})`
