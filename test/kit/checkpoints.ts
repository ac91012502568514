import { createHash } from 'node:crypto'
import { writeManifest } from '#runtime/commit-log/manifest-io'
import {
  FORMAT_VERSION,
  type Manifest,
  type RestorePoint,
  type StateFile,
  type StoredState,
} from '#runtime/contract/checkpoint-records'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { keyUrl } from '#runtime/storage/paths'
import { JOB } from './commit-log.ts'

/** Of each subtask its files, oldest first. */
export interface StoredVertex {
  readonly vertex: string
  readonly uids: readonly string[]
  readonly states?: readonly StoredState[]
  readonly subtasks: readonly {
    readonly keyGroups: readonly [number, number]
    readonly files: readonly Uint8Array[]
  }[]
}

export interface StoredPoint {
  readonly type: 'checkpoint' | 'savepoint'
  readonly id: number
  /** Directory of the manifest; of a savepoint also of its files. Default: of the checkpoint. */
  readonly directory?: string
  readonly uid?: string
  readonly maxParallelism?: number
  readonly isInlined?: boolean
  readonly vertices: readonly StoredVertex[]
}

/** Stores state files and their manifest as a checkpoint or savepoint has them. */
export async function storePoint(store: CheckpointStore, point: StoredPoint) {
  const { type, id, directory = `chk/${id}-1`, uid = JOB.uid, maxParallelism = 128, vertices } = point
  const isSavepoint = type === 'savepoint'
  const storeFile = async (bytes: Uint8Array, name: string, isFirst: boolean): Promise<StateFile> => {
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const about = {
      sizeBytes: bytes.byteLength,
      sha256,
      writtenBy: id,
      mode: isFirst ? 'full' : 'delta',
    } as const
    if (point.isInlined === true) return { ...about, inline: Buffer.from(bytes).toString('base64') }
    const below = directory === '' ? name : `${directory}/${name}`
    await store.create(below, bytes)
    return { ...about, key: isSavepoint ? name : below }
  }
  const stored: Manifest['vertices'] = []
  for (const { vertex, uids, states: keyed = [], subtasks } of vertices) {
    const states: Manifest['vertices'][0]['subtasks'] = []
    for (const [subtask, { keyGroups, files }] of subtasks.entries()) {
      const chain: StateFile[] = []
      for (const [i, bytes] of files.entries())
        chain.push(await storeFile(bytes, `${vertex}-${subtask}-1.1-${i}.state`, i === 0))
      states.push({ subtask, keyGroups: [...keyGroups], chain })
    }
    stored.push({
      vertex,
      uids: [...uids],
      states: [...keyed],
      parallelism: subtasks.length,
      subtasks: states,
    })
  }
  const manifest: Manifest = {
    v: FORMAT_VERSION,
    type,
    id,
    epoch: 1,
    attempt: '1.1',
    job: { namespace: JOB.namespace, name: JOB.name, uid },
    createdAt: 1,
    planHash: 'plan',
    maxParallelism,
    base: 0,
    vertices: stored,
    sizeBytes: 1,
  }
  const { key, sha256 } = await writeManifest(store, manifest, { directory })
  const own: RestorePoint = { kind: 'checkpoint', id, manifest: key, sha256 }
  return { manifest, key, sha256, own, url: keyUrl(store.url, directory) }
}
