import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Cluster } from '#tools/cluster/cluster'
import { dumpCluster } from '#tools/cluster/diagnostics'
import { stderrProgress } from '#tools/cluster/progress'
import { WordCountTrial } from '#tools/word-count/word-count-trial'
import { installWeir, NAMESPACE, RELEASE } from '../../scripts/cluster/install.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url))

/**
 * A checkpoint every 2 s publishes; what is on the way when something dies waits for the next one.
 */
const measure = (what: string, ms: number): void =>
  console.log(`measure: ${what} ${(ms / 1000).toFixed(2)} s`)

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

  test('helm test passes', async () => {
    expect(await cluster.helm(['test', RELEASE, '--namespace', NAMESPACE, '--timeout', '2m'])).toMatch(
      /Phase:\s+Succeeded/,
    )
  })

  /**
   * One story in steps: each needs what the one before left, and a failure anywhere shows the state
   * of the cluster.
   */
  test('nothing is lost or repeated when pods die, and when a Savepoint is restored', async () => {
    try {
      await trial.input.addSamples(5)
      measure('from kubectl apply to Ready', await timed(() => trial.start()))
      trial.input.feed()
      measure(
        'from a new file to its published counts, undisturbed',
        await trial.roundTrip('while nothing happens'),
      )

      const attempt = (await trial.view()).status?.attempt
      await disturbed(
        'TaskManager pod deleted',
        () => trial.deleteTaskManager(),
        () => trial.runsAgain({ attempt }),
      )
      // Not by name: the standby or the same container, started again, may lead next.
      const epoch = await trial.epoch()
      await disturbed(
        'leading JobManager killed',
        () => trial.killLeader(),
        () => trial.runsAgain({ epoch }),
      )
      await disturbed(
        'Redis pod deleted',
        () => trial.deleteRedis(),
        (pod) => trial.redisBack(pod),
      )

      measure(
        'Savepoint under load, from kubectl apply to Ready',
        await timed(() => trial.savepoint('under-load')),
      )
      const whole = await trial.compare()
      expect(whole.differences).toEqual([])

      const path = await trial.savepoint('before-deletion')
      await trial.delete()
      await trial.input.addSamples(10)
      measure(
        'from kubectl apply with restore.savepointRef to Ready',
        await timed(() => trial.start('before-deletion')),
      )
      expect((await trial.view()).status?.restoredFrom).toContain(path)
      trial.input.feed()
      await trial.roundTrip('after the restore')
      const compared = await trial.compare()
      expect(compared.differences).toEqual([])
      console.log(
        `measure: ${trial.input.files} files, ${compared.total} words, ` +
          `${compared.words} different ones, all published exactly once`,
      )
      for (const recovery of (await trial.view()).status?.recoveries ?? [])
        console.log(`measure: recovery ${JSON.stringify(recovery)}`)
    } catch (error) {
      console.error(await dumpCluster(cluster, [trial.namespace, NAMESPACE]))
      throw error
    }
  })

  test('the examples do what they say: run, take a savepoint, come back from it', async () => {
    const namespace = `${trial.namespace}-examples`
    const kubectl = (...args: string[]) => cluster.kubectl([...args, '-n', namespace])
    await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    try {
      await kubectl('apply', '-f', `${EXAMPLES}/word-count.yaml`)
      await kubectl('wait', '--for=condition=Ready', 'stj/word-count', '--timeout=120s')
      expect((await kubectl('get', 'stj')).split('\n')[0]).toMatch(
        /^NAME +READY +PHASE +WAITING +TM +LAST-CP +RESTARTS +AGE/,
      )
      await kubectl('apply', '-f', `${EXAMPLES}/savepoint.yaml`)
      await kubectl('wait', '--for=condition=Ready', 'svp/word-count-1', '--timeout=120s')
      expect((await kubectl('get', 'svp')).split('\n')[0]).toMatch(
        /^NAME +JOB +READY +PATH +BYTES +COMPLETED +AGE/,
      )
      await kubectl('delete', 'stj/word-count', '--timeout=120s')
      await kubectl('apply', '-f', `${EXAMPLES}/word-count-restored.yaml`)
      await kubectl('wait', '--for=condition=Ready', 'stj/word-count', '--timeout=120s')
      const path = await kubectl('get', 'svp/word-count-1', '-o', 'jsonpath={.status.path}')
      expect(await kubectl('get', 'stj/word-count', '-o', 'jsonpath={.status.restoredFrom}')).toContain(path)
    } catch (error) {
      console.error(await dumpCluster(cluster, [namespace, NAMESPACE]))
      throw error
    } finally {
      await cluster.tryKubectl(['delete', 'namespace', namespace, '--wait=false'])
    }
  })

  /**
   * A round trip that begins after what died has been replaced; the measures count from the death.
   */
  async function disturbed(
    what: string,
    act: () => Promise<string>,
    replaced: (name: string) => Promise<void>,
  ): Promise<void> {
    const before = (await trial.view()).status?.attempt
    const start = performance.now()
    const name = await act()
    await replaced(name)
    measure(`${what} (${name}): until it is replaced and the job runs`, performance.now() - start)
    await trial.roundTrip(`after: ${what}`)
    measure(`${what}: until a word written after that is published`, performance.now() - start)
    const { attempt, recoveries } = (await trial.view()).status ?? {}
    console.log(
      `measure: attempt ${before} -> ${attempt}; newest recovery ${JSON.stringify(recoveries?.[0])}`,
    )
  }
})

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
