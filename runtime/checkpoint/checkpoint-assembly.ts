import type { SubtaskAck } from '#runtime/contract/rpc'
import { FORMAT_VERSION, type Manifest, type StateFile } from '#runtime/contract/checkpoint-records'

/**
 * An attempt as the coordinator needs to know it: all of its subtasks acknowledge every checkpoint.
 */
export interface AttemptPlan {
  readonly attempt: string
  readonly planHash: string
  readonly maxParallelism: number
  readonly vertices: readonly { readonly id: string; readonly parallelism: number }[]
}

export interface AssembledCheckpoint {
  readonly type: 'checkpoint' | 'savepoint'
  readonly id: number
  readonly epoch: number
  readonly base: number
  readonly directory: string
  readonly createdAt: number
  readonly job: { readonly namespace: string; readonly name: string; readonly uid: string }
}

export const subtaskKeys = (plan: AttemptPlan): string[] =>
  plan.vertices.flatMap((vertex) =>
    Array.from({ length: vertex.parallelism }, (_, subtask) => `${vertex.id}/${subtask}`),
  )

/**
 * The manifest from the acknowledgements of all subtasks (by `vertex/subtask`). File keys of
 * savepoints become relative to their directory.
 */
export function assembleManifest(
  plan: AttemptPlan,
  checkpoint: AssembledCheckpoint,
  acks: ReadonlyMap<string, SubtaskAck>,
): Manifest {
  const prefix = `${checkpoint.directory}/`
  const place = (file: StateFile): StateFile =>
    checkpoint.type === 'savepoint' && file.key?.startsWith(prefix)
      ? { ...file, key: file.key.slice(prefix.length) }
      : file
  const vertices = plan.vertices.map((vertex) => {
    const own = Array.from(
      { length: vertex.parallelism },
      (_, subtask) => acks.get(`${vertex.id}/${subtask}`) as SubtaskAck,
    )
    return {
      vertex: vertex.id,
      uids: [...new Set(own.flatMap((ack) => ack.uids))],
      parallelism: vertex.parallelism,
      subtasks: own.map(({ state }) => ({ ...state, chain: state.chain.map(place) })),
    }
  })
  return {
    v: FORMAT_VERSION,
    type: checkpoint.type,
    id: checkpoint.id,
    epoch: checkpoint.epoch,
    attempt: plan.attempt,
    job: { namespace: checkpoint.job.namespace, name: checkpoint.job.name, uid: checkpoint.job.uid },
    createdAt: checkpoint.createdAt,
    planHash: plan.planHash,
    maxParallelism: plan.maxParallelism,
    base: checkpoint.base,
    vertices,
    sizeBytes: filesOf(vertices).reduce((sum, file) => sum + file.sizeBytes, 0),
  }
}

function filesOf(vertices: Manifest['vertices']): StateFile[] {
  return vertices.flatMap((vertex) => vertex.subtasks.flatMap((subtask) => subtask.chain))
}

/** Bytes that this checkpoint wrote itself. */
export function deltaBytes(manifest: Manifest): number {
  return filesOf(manifest.vertices).reduce(
    (sum, file) => sum + (file.writtenBy === manifest.id ? file.sizeBytes : 0),
    0,
  )
}

const identity = (file: StateFile): string => `${file.writtenBy} ${file.key ?? 'inline'} ${file.sha256}`

/**
 * A checkpoint may refer only to files that it wrote itself, into its own directory, or that its
 * base's manifest lists, and to none that is to be deleted: else a file that nobody protects could
 * be gone when it is needed. Gives the offence in words, or undefined.
 */
export function findForeignFile(
  manifest: Manifest,
  directory: string,
  base: Manifest | undefined,
  isRetired: (key: string) => boolean,
): string | undefined {
  const reusable = new Set(base === undefined ? [] : filesOf(base.vertices).map(identity))
  const prefix = manifest.type === 'savepoint' ? '' : `${directory}/`
  for (const vertex of manifest.vertices) {
    for (const subtask of vertex.subtasks) {
      for (const file of subtask.chain) {
        const where = `subtask ${vertex.vertex}/${subtask.subtask} refers to ${file.key ?? 'an inlined file'} written by ${file.writtenBy}`
        if ((file.key === undefined) === (file.inline === undefined))
          return `${where}, which has not exactly one of key and inline`
        if (file.writtenBy === manifest.id) {
          if (file.key !== undefined && !isWithin(file.key, prefix))
            return `${where}, outside its directory ${directory}`
        } else if (!reusable.has(identity(file)))
          return `${where}, which is not part of base ${manifest.base}`
        if (file.key !== undefined && manifest.type === 'checkpoint' && isRetired(file.key))
          return `${where}, which is retired`
      }
      const fault = chainFault(subtask.chain)
      if (fault !== undefined) return `the chain of subtask ${vertex.vertex}/${subtask.subtask} ${fault}`
    }
  }
  return undefined
}

const isWithin = (key: string, prefix: string): boolean =>
  prefix === '' ? !key.includes('/') : key.startsWith(prefix)

function chainFault(chain: readonly StateFile[]): string | undefined {
  if (chain.length > 0 && chain[0]?.mode !== 'full') return 'does not begin with a full file'
  const late = chain.findIndex((file, i) => i > 0 && file.writtenBy <= (chain[i - 1] as StateFile).writtenBy)
  return late < 0 ? undefined : 'is not ordered by the checkpoint that wrote each file'
}
