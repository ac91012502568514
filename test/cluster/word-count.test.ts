import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Cluster } from '#test/kit/cluster/cluster'
import { dumpCluster } from '#test/kit/cluster/diagnostics'
import { stderrProgress } from '#test/kit/cluster/progress'
import { WordCountTrial } from '#test/kit/cluster/word-count-trial'
import { installWeir, NAMESPACE } from '../../scripts/cluster/install.ts'

/** A checkpoint every 2 s publishes; what is on the way when something dies waits for the next one. */
const measure = (what: string, ms: number): void => console.log(`measure: ${what} ${(ms / 1000).toFixed(2)} s`)

describe('word count on Kubernetes', () => {
  let cluster: Cluster
  let trial: WordCountTrial

  beforeAll(async () => {
    cluster = await Cluster.up()
    await installWeir(cluster, stderrProgress)
    trial = await WordCountTrial.open(cluster, stderrProgress)
  })
  afterAll(async () => {
    await trial?.[Symbol.asyncDispose]()
  })

  /** One story in steps: each needs what the one before left, and a failure anywhere tells the state of the cluster. */
  test('nothing is lost or repeated when pods die, and when the job is created again from a Savepoint', async () => {
    try {
      await trial.input.addSamples(5)
      measure('from kubectl apply to Ready', await timed(() => trial.start()))
      trial.input.feed()
      measure('from a new file to its published counts, undisturbed', await trial.roundTrip('while nothing happens'))

      await disturbed('TaskManager pod deleted', () => trial.deleteTaskManager())
      await disturbed('leading JobManager killed', () => trial.killLeader())
      await disturbed('Redis pod deleted', () => trial.deleteRedis())

      measure('Savepoint under load, from kubectl apply to Ready', await timed(() => trial.savepoint('under-load')))
      const whole = await trial.compare()
      expect(whole.differences).toEqual([])

      const path = await trial.savepoint('before-deletion')
      await trial.delete()
      await trial.input.addSamples(10)
      measure('from kubectl apply with restore.savepointRef to Ready', await timed(() => trial.start('before-deletion')))
      expect((await trial.view()).status?.restoredFrom).toContain(path)
      trial.input.feed()
      await trial.roundTrip('after the restore')
      const compared = await trial.compare()
      expect(compared.differences).toEqual([])
      console.log(
        `measure: ${trial.input.files} files, ${compared.total} words, ${compared.words} different ones, all published exactly once`,
      )
      for (const recovery of (await trial.view()).status?.recoveries ?? []) console.log(`measure: recovery ${JSON.stringify(recovery)}`)
    } catch (error) {
      console.error(await dumpCluster(cluster, [trial.namespace, NAMESPACE]))
      throw error
    }
  })

  async function disturbed(what: string, act: () => Promise<string>): Promise<void> {
    const name = await act()
    const ms = await trial.roundTrip(`after: ${what} (${name})`)
    measure(`${what}: until a word written after it is published`, ms)
    for (const recovery of ((await trial.view()).status?.recoveries ?? []).slice(0, 1))
      console.log(`measure: newest recovery ${JSON.stringify(recovery)}`)
  }
})

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
