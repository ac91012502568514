import type { Cluster } from '#tools/cluster/cluster'
import { dumpCluster } from '#tools/cluster/diagnostics'
import type { Progress } from '#tools/cluster/progress'
import { JOB, WordCountTrial } from '#tools/word-count/word-count-trial'
import { NAMESPACE } from './install.ts'

/**
 * The word count on a cluster: disturbed on the way, and compared with an independent count at the
 * end.
 * @throws when they differ
 */
export async function clusterDemo(cluster: Cluster, progress: Progress): Promise<void> {
  await using trial = await WordCountTrial.open(cluster, progress)
  try {
    await trial.input.addSamples(5)
    progress.say(
      `kubectl apply -n ${trial.namespace} -f word-count.yaml; kubectl wait --for=condition=Ready stj/${JOB}`,
    )
    await trial.start()
    progress.say('Ready; new files keep arriving from now on')
    trial.input.feed()
    await trial.roundTrip('at the beginning')
    await show(cluster, trial.namespace)
    for (const { what, act } of [
      { what: 'TaskManager pod deleted', act: () => trial.deleteTaskManager() },
      { what: 'leading JobManager killed', act: () => trial.killLeader() },
      { what: 'Redis pod deleted', act: () => trial.deleteRedis() },
    ]) {
      progress.say(`${what}: ${await act()}`)
      progress.say(
        `a word written after it was published ${seconds(await trial.roundTrip(`after: ${what}`))} later`,
      )
    }
    await show(cluster, trial.namespace)
    const { words, total, differing, differences } = await trial.compare()
    if (differing > 0)
      throw new Error(
        `The published counts differ from the independent count in ${differing} words:\n` +
          differences.join('\n'),
      )
    progress.say(
      `${trial.input.files} files, ${total} words, ${words} different ones: ` +
        'every count published exactly once, equal to the independent count',
    )
  } catch (error) {
    console.error(await dumpCluster(cluster, [trial.namespace, NAMESPACE]))
    throw error
  }
}

async function show(cluster: Cluster, namespace: string): Promise<void> {
  console.log(await cluster.kubectl(['get', 'stj,pods', '-n', namespace]))
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
