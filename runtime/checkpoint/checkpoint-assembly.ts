/** From acknowledgements to a manifest, and what must hold of it. Pure. */
import { present } from '#runtime/base/errors'
import { stateFiles, type PlacedFile } from '#runtime/commit-log/manifest-io'
import {
  FORMAT_VERSION,
  type Manifest,
  type StateFile,
  type StoredState,
} from '#runtime/contract/checkpoint-records'
import type { AttemptId, CheckpointId, Epoch } from '#runtime/contract/ids'
import { subtaskKey, type SubtaskAck } from '#runtime/contract/rpc'

/**
 * An attempt as the coordinator needs to know it: all of its subtasks acknowledge every checkpoint.
 */
export interface AttemptPlan {
  readonly attempt: AttemptId
  readonly planHash: string
  readonly maxParallelism: number
  readonly vertices: readonly { readonly id: string; readonly parallelism: number }[]
}

export interface AssembledCheckpoint {
  readonly type: 'checkpoint' | 'savepoint'
  readonly id: CheckpointId
  readonly epoch: Epoch
  readonly base: CheckpointId
  readonly createdAt: number
  readonly job: { readonly namespace: string; readonly name: string; readonly uid: string }
}

export const subtaskKeys = (plan: AttemptPlan): string[] =>
  plan.vertices.flatMap((vertex) =>
    Array.from({ length: vertex.parallelism }, (_, subtask) => `${vertex.id}/${subtask}`),
  )

/** The manifest from the acknowledgements of all subtasks (by `vertex/subtask`). */
export function assembleManifest(
  plan: AttemptPlan,
  checkpoint: AssembledCheckpoint,
  acks: ReadonlyMap<string, SubtaskAck>,
): Manifest {
  const vertices = plan.vertices.map((vertex) => {
    const own = Array.from({ length: vertex.parallelism }, (_, subtask) => {
      const key = subtaskKey({ vertex: vertex.id, subtask })
      return present(acks.get(key), `the acknowledgement of ${key}`)
    })
    return {
      vertex: vertex.id,
      uids: [...new Set(own.flatMap((ack) => ack.uids))],
      states: mergeStates(own.flatMap((ack) => ack.states)),
      parallelism: vertex.parallelism,
      subtasks: own.map(({ state }) => state),
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
    sizeBytes: bytesOf(filesOf({ vertices })),
  }
}

/** What the subtasks of a vertex have found, together. */
function mergeStates(found: readonly StoredState[]): StoredState[] {
  const merged = new Map<string, StoredState>()
  const both = (a: readonly string[], b: readonly string[]) => [...new Set([...a, ...b])].sort()
  for (const state of found) {
    const id = JSON.stringify([state.uid, state.name])
    const { keys, values } = merged.get(id) ?? { keys: [], values: [] }
    merged.set(id, { ...state, keys: both(keys, state.keys), values: both(values, state.values) })
  }
  return [...merged.values()]
}

const filesOf = (of: Pick<Manifest, 'vertices'>): StateFile[] => [...stateFiles(of)].map(({ file }) => file)
const bytesOf = (files: readonly StateFile[]): number => files.reduce((sum, file) => sum + file.sizeBytes, 0)

/** Bytes that this checkpoint wrote itself. */
export const deltaBytes = (manifest: Manifest): number =>
  bytesOf(filesOf(manifest).filter((file) => file.writtenBy === manifest.id))

const identity = (file: StateFile): string => `${file.writtenBy} ${file.key ?? 'inline'} ${file.sha256}`

export interface FileRules {
  /** Of the checkpoint or savepoint: what it wrote itself lies there. */
  readonly directory: string
  /** Absent: nothing may be reused. */
  readonly base: Manifest | undefined
}

/**
 * A checkpoint may refer only to files that it wrote itself, into its own directory, or that its
 * base's manifest lists: else a file that nobody protects could be gone when it is needed. Gives
 * the offence in words, or undefined.
 */
export function findForeignFile(manifest: Manifest, rules: FileRules): string | undefined {
  const reusable = new Set(rules.base === undefined ? [] : filesOf(rules.base).map(identity))
  for (const placed of stateFiles(manifest)) {
    const fault = fileFault(placed.file, manifest, reusable, rules)
    if (fault !== undefined) return `${reference(placed)}, ${fault}`
  }
  for (const { vertex, subtasks } of manifest.vertices)
    for (const { subtask, chain } of subtasks) {
      const fault = chainFault(chain)
      if (fault !== undefined) return `the chain of subtask ${vertex}/${subtask} ${fault}`
    }
  return undefined
}

const reference = ({ vertex, subtask, file }: PlacedFile): string =>
  `subtask ${vertex}/${subtask} refers to ${file.key ?? 'an inlined file'} written by ${file.writtenBy}`

function fileFault(
  file: StateFile,
  { id, type, base }: Manifest,
  reusable: ReadonlySet<string>,
  { directory }: FileRules,
): string | undefined {
  const { key, inline, writtenBy } = file
  if ((key === undefined) === (inline === undefined)) return 'which has not exactly one of key and inline'
  if (writtenBy !== id) return reusable.has(identity(file)) ? undefined : `which is not part of base ${base}`
  // Keys of a savepoint are relative to its own directory.
  const isWithin =
    key === undefined || (type === 'savepoint' ? !key.includes('/') : key.startsWith(`${directory}/`))
  return isWithin ? undefined : `outside its directory ${directory}`
}

function chainFault(chain: readonly StateFile[]): string | undefined {
  if (chain.length > 0 && chain[0]?.mode !== 'full') return 'does not begin with a full file'
  const late = chain.findIndex((file, i) => file.writtenBy <= (chain[i - 1]?.writtenBy ?? 0))
  return late < 0 ? undefined : 'is not ordered by the checkpoint that wrote each file'
}
