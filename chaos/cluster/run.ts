/** One seed on a cluster, from its plan to its verdict. */
import { messageOf } from '#runtime/base/errors'
import { Cluster } from '#tools/cluster/cluster'
import { dumpCluster } from '#tools/cluster/diagnostics'
import { stderrProgress } from '#tools/cluster/progress'
import { installWeir, NAMESPACE } from '../../scripts/cluster/install.ts'
import { lookAtMachine } from '../machine.ts'
import { Performance } from '../performance.ts'
import type { Plan } from '../plan.ts'
import type { Result } from '../run.ts'
import type { Story } from '../story.ts'
import { CLUSTER_LIMIT_MS, ClusterStage } from './cluster-stage.ts'

/** A cluster that is up, with the sources as they are installed. */
export async function openCluster(): Promise<Cluster> {
  const cluster = await Cluster.up(stderrProgress)
  await installWeir(cluster, stderrProgress)
  return cluster
}

export interface ClusterRunOptions {
  readonly cluster: Cluster
  readonly plan: Plan<ClusterStage>
  /** For everything that is written. */
  readonly directory: string
  readonly story: Story
}

/** @throws when the job cannot be applied */
export async function runOnCluster({ cluster, plan, directory, story }: ClusterRunOptions): Promise<Result> {
  const began = performance.now()
  const { seed, setting, rounds } = plan
  story.tell(`seed ${seed}: ${setting.taskManagers} TaskManagers of ${setting.slots} slots`)
  const violations: string[] = []
  let records = 0
  await using stage = await ClusterStage.open({ cluster, directory, seed, setting, story })
  const performed = new Performance(stage, await lookAtMachine(new Set()), story, CLUSTER_LIMIT_MS)
  try {
    await stage.progress(CLUSTER_LIMIT_MS)
    for (const round of rounds) await performed.round({ ...round, awaitsProgress: true })
    records = await stage.finish()
  } catch (error) {
    story.tell(`VIOLATION ${messageOf(error)}`)
    violations.push(messageOf(error))
    story.tell(await dumpCluster(cluster, [stage.namespace, NAMESPACE]))
  }
  violations.push(...stage.defects())
  const { faults, progressMs } = performed
  const { recoveries } = stage.watcher
  return { seed, violations, faults, recoveries, progressMs, records, tookMs: performance.now() - began }
}
