/** One seed from its plan to its verdict. */
import { messageOf } from '#runtime/base/errors'
import { processesOf } from './leftovers.ts'
import type { Machine } from './machine.ts'
import { Performance, PROGRESS_LIMIT_MS } from './performance.ts'
import type { Plan } from './plan.ts'
import { Stage } from './stage.ts'
import type { Story } from './story.ts'

export interface Result {
  readonly seed: number
  /** In words; empty: everything held. */
  readonly violations: readonly string[]
  /** Done, by kind. */
  readonly faults: ReadonlyMap<string, number>
  /** Attempts and takeovers after the first. */
  readonly recoveries: number
  /** Of each wait for the job to complete checkpoints after faults, milliseconds. */
  readonly progressMs: readonly number[]
  /** That came out, all of them checked. */
  readonly records: number
  /** Files of checkpoints and unpublished output in the end; absent: they were not counted. */
  readonly objects?: number
  readonly tookMs: number
}

export interface RunOptions {
  readonly plan: Plan
  /** For everything that is written. */
  readonly directory: string
  readonly story: Story
  readonly machine: Machine
}

/** @throws when the servers or the first processes cannot be started */
export async function runPlan({ plan, directory, story, machine }: RunOptions): Promise<Result> {
  const began = performance.now()
  const { seed, setting, rounds } = plan
  story.tell(`seed ${seed}: ${JSON.stringify(setting)}`)
  const violations: string[] = []
  let end = { records: 0, objects: 0 }
  const stage = await Stage.open({ directory, seed, setting, story, machine })
  const performed = new Performance(stage, machine, story)
  try {
    await stage.progress(PROGRESS_LIMIT_MS)
    for (const round of rounds) await performed.round(round)
    await performed.progress()
    end = await stage.finish()
  } catch (error) {
    story.tell(`VIOLATION ${messageOf(error)}`)
    violations.push(messageOf(error))
  }
  violations.push(...(await takeAway(stage, directory)))
  return {
    seed,
    violations,
    faults: performed.faults,
    recoveries: stage.recoveries,
    progressMs: performed.progressMs,
    ...end,
    tookMs: performance.now() - began,
  }
}

/**
 * Ends everything, whatever of it fails; gives in words what failed, what is left over, and lines
 * of logs that tell of a defect.
 */
async function takeAway(stage: Stage, directory: string): Promise<string[]> {
  const found: string[] = []
  const failed = (error: unknown): void => {
    stage.story.tell(`VIOLATION at the end: ${messageOf(error)}`)
    found.push(`at the end: ${messageOf(error)}`)
  }
  await stage.endJobs().catch(failed)
  try {
    found.push(...stage.defects(), ...processesOf(directory))
  } catch (error) {
    failed(error)
  }
  await stage[Symbol.asyncDispose]().catch(failed)
  return found
}
