/** What is done to a job on a cluster, and to what it stands on. */
import { messageOf } from '#runtime/base/errors'
import { sleep, systemClock } from '#runtime/base/clock'
import type { Random } from '#sim/random'
import { NAMESPACE, RELEASE } from '../../scripts/cluster/install.ts'
import { type Fault, type FaultKind, nothingToEnd } from '../fault.ts'
import type { ClusterStage } from './cluster-stage.ts'
import { JOB, type JobSpec } from './job-manifest.ts'
import { isLeaving, type PodView } from './pods.ts'

type ClusterFault = Fault<ClusterStage>

const fault = (text: string, work: (stage: ClusterStage) => Promise<void>): ClusterFault => ({
  text,
  forMs: 0,
  async begin(stage) {
    await work(stage)
    return nothingToEnd
  },
})

const action = (text: string, work: (stage: ClusterStage) => Promise<void>): ClusterFault =>
  fault(text, (stage) => stage.inTurn(() => work(stage)))

const ofJob = (rest: string): string => `weir.dev/job=${JOB}${rest}`
const systemPod = (component: string): string => `app.kubernetes.io/component=${component}`

/** Who is hit: pods by their labels, all of them or one. */
const VICTIMS = [
  { who: 'the leading JobManager', selector: ofJob(',weir.dev/leader=true'), isOne: true },
  { who: 'a JobManager', selector: ofJob(',weir.dev/component=job-manager'), isOne: true },
  { who: 'a TaskManager', selector: ofJob(',weir.dev/component=task-manager'), isOne: true },
  { who: 'all TaskManagers', selector: ofJob(',weir.dev/component=task-manager'), isOne: false },
  { who: 'everybody', selector: ofJob(''), isOne: false },
] as const

type Hit = (stage: ClusterStage, pod: PodView) => Promise<void>

/** Those that are hit, drawn by `at` in [0, 1) where it is one of several. */
function hitPods(random: Random, way: string, hit: Hit): ClusterFault {
  const { who, selector, isOne } = random.pick(VICTIMS)
  const at = random.next()
  return fault(`${who}: ${way}`, async (stage) => {
    const pods = (await stage.watcher.jobPods(selector)).filter((pod) => !isLeaving(pod))
    const hits = isOne ? pods.slice(Math.floor(at * pods.length)).slice(0, 1) : pods
    await Promise.all(hits.map((pod) => hit(stage, pod)))
    stage.story.tell(`      hit: ${hits.map(({ metadata }) => metadata.name).join(', ') || 'nobody'}`)
  })
}

/** The pod goes where its container cannot be killed. */
async function killContainerOrPod(stage: ClusterStage, pod: PodView): Promise<void> {
  const wasKilled = await stage.killContainer(pod).catch((error: unknown) => {
    stage.story.tell(`      ${pod.metadata.name} was not killed: ${messageOf(error).slice(0, 200)}`)
    return false
  })
  if (wasKilled) return
  stage.story.tell(`      ${pod.metadata.name}: deleted with no grace instead`)
  await stage.deletePod(stage.namespace, pod, true)
}

function kill(random: Random): ClusterFault {
  if (random.chance(0.5)) return hitPods(random, 'SIGKILL in the container', killContainerOrPod)
  return hitPods(random, 'pod deleted with no grace', (stage, pod) =>
    stage.deletePod(stage.namespace, pod, true),
  )
}

const term = (random: Random): ClusterFault =>
  hitPods(random, 'pod deleted', (stage, pod) => stage.deletePod(stage.namespace, pod, false))

function scaleOf(random: Random): Pick<JobSpec, 'taskManagers' | 'slots' | 'upgradeMode'> {
  const upgradeMode = random.pick(['LastCheckpoint', 'Savepoint'] as const)
  return { taskManagers: random.between(1, 3), slots: random.between(1, 2), upgradeMode }
}

const scaleText = ({ taskManagers, slots, upgradeMode }: ReturnType<typeof scaleOf>): string =>
  `${taskManagers} x ${slots} slots (${upgradeMode})`

function operatorDelete(random: Random): ClusterFault {
  const isForced = random.chance(0.5)
  const change = random.chance(0.5) ? scaleOf(random) : undefined
  const afterMs = random.between(0, 3000)
  const text = `all operator pods deleted${isForced ? ' with no grace' : ''}`
  if (change === undefined) return fault(text, (stage) => deleteOperator(stage, isForced))
  return action(`${text}, ${afterMs} ms after a change to ${scaleText(change)}`, async (stage) => {
    await stage.apply(change)
    await sleep(systemClock, afterMs)
    await deleteOperator(stage, isForced)
  })
}

async function deleteOperator(stage: ClusterStage, isForced: boolean): Promise<void> {
  const pods = await stage.watcher.systemPods(systemPod('operator'))
  await Promise.all(pods.map((pod) => stage.deletePod(NAMESPACE, pod, isForced)))
}

const redisFlush = (): ClusterFault =>
  fault('Redis is emptied', async ({ cluster }) => {
    const cli = ['--', 'redis-cli', 'flushall']
    await cluster.kubectl(['exec', '-n', NAMESPACE, `deploy/${RELEASE}-redis`, ...cli])
  })

const s3Kill = (): ClusterFault =>
  fault('S3 server: SIGKILL in the container, its data stays', async (stage) => {
    const [pod] = await stage.watcher.systemPods(systemPod('quickstart-s3'))
    if (pod === undefined || !(await stage.killContainer(pod)))
      stage.story.tell(
        '      SKIPPED: it cannot be killed here, or was killed too often to be restarted soon',
      )
  })

function rescale(random: Random): ClusterFault {
  const change = scaleOf(random)
  return action(`to ${scaleText(change)}`, (stage) => stage.apply(change))
}

function upgrade(random: Random): ClusterFault {
  const upgradeMode = random.pick(['LastCheckpoint', 'Savepoint'] as const)
  return action(`another job module (${upgradeMode})`, (stage) =>
    stage.apply({ upgradeMode, module: stage.spec.module === 'first' ? 'upgraded' : 'first' }),
  )
}

const savepoint = (): ClusterFault =>
  action('a Savepoint object', async (stage) => {
    const name = await stage.savepoint()
    stage.story.tell(`      Savepoint ${name} is Ready`)
  })

/** Suspended first: going back to an older savepoint would write output again, on purpose. */
function restore(random: Random): ClusterFault {
  const as = random.pick(['same job', 'new job'] as const)
  return action(`suspended with a savepoint and restored from it as ${as}`, async (stage) => {
    const name = await stage.suspend()
    if (name === undefined) {
      stage.story.tell('      suspended without a savepoint, so it goes on')
      return await stage.apply({ state: 'Running' })
    }
    if (as === 'new job') await stage.deleteJob()
    await stage.apply({ state: 'Running', restoredFrom: name })
    stage.story.tell(`      the job was applied with a restore from Savepoint ${name}`)
  })
}

export const CLUSTER_KINDS: readonly FaultKind<ClusterStage>[] = [
  {
    name: 'kill',
    says: 'pods of the job die: SIGKILL in the container, or deleted with no grace',
    draw: kill,
  },
  { name: 'term', says: 'pods of the job are deleted', draw: term },
  {
    name: 'operator-delete',
    says: 'the operator pods are deleted, half of the time while the job is being changed',
    alone: 'user',
    draw: operatorDelete,
  },
  { name: 'redis-flush', says: 'Redis is emptied', alone: 'redis-server', draw: redisFlush },
  {
    name: 's3-kill',
    says: 'the S3 server is killed and starts on its data',
    alone: 's3-server',
    draw: s3Kill,
  },
  {
    name: 'rescale',
    says: 'the StreamJob gets another number of TaskManagers and slots',
    alone: 'user',
    draw: rescale,
  },
  {
    name: 'savepoint',
    says: 'a Savepoint object is made, until it is Ready',
    alone: 'user',
    draw: savepoint,
  },
  {
    name: 'restore',
    says: 'the job is suspended with a savepoint and restored from it, as itself or as a new job',
    alone: 'user',
    draw: restore,
  },
  { name: 'upgrade', says: 'the StreamJob gets another module', alone: 'user', draw: upgrade },
]
