import type { LogState } from '#runtime/commit-log/log-state'
import { type FileCheck, readManifest, stateFiles, verifyCheckpoint } from '#runtime/commit-log/manifest-io'
import type { Manifest } from '#runtime/contract/checkpoint-records'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { keyUrl } from '#runtime/storage/paths'
import { locateManifest } from '#runtime/storage/storage-url'
import { formatBytes } from '#runtime/base/units'
import type { CheckpointId } from '#runtime/contract/ids'
import { CliError, notFound } from '#cli/cli-error'
import { EXIT } from '#cli/exit-codes'
import type { Output } from '#cli/output'
import { fields, table } from '#cli/table'
import type { Target } from '#cli/target'
import { openJobStore, readJobLog } from './job-log.ts'
import { openLocal } from './local-target.ts'
import { environmentS3, storageUrl } from './storage-path.ts'

type LocalName = Extract<Target, { kind: 'local' }>

/**
 * The files of a StreamJob lie in storage that only its own pods may read.
 * @throws {CliError} for a StreamJob
 */
export function localOnly(target: Target, what: string): LocalName {
  if (target.kind === 'local') return target
  throw new CliError(
    EXIT.badInput,
    `checkpoints ${what} reads the checkpoint store itself, ` +
      "which on a cluster only the job's own pods may do.",
    {
      next:
        'Where you have access to the store, give its URL: ' +
        'weir checkpoints verify --path s3://BUCKET/KEY',
    },
  )
}

interface Row {
  readonly id: CheckpointId
  readonly status: string
  readonly completedAt: number | undefined
  readonly sizeBytes: number
  readonly deltaBytes: number
  readonly durationMs: number | undefined
  readonly base: CheckpointId | undefined
  readonly reason: string | undefined
}

export async function listCheckpoints(output: Output, target: LocalName): Promise<void> {
  const local = openLocal(target)
  const log = await readJobLog(local.state, local.record)
  const history =
    local.client === undefined
      ? []
      : await local.client.checkpoints().then(
          (view) => view.history,
          () => [],
        )
  const durations = new Map(history.map((c) => [c.id, c.end_to_end_duration]))
  const retained: Row[] = (log?.retained ?? []).map((c) => ({
    id: c.id,
    status: 'COMPLETED',
    completedAt: c.at,
    sizeBytes: c.sizeBytes,
    deltaBytes: c.deltaBytes,
    durationMs: durations.get(c.id),
    base: c.base === 0 ? undefined : c.base,
    reason: undefined,
  }))
  const others: Row[] = history
    .filter((c) => c.status !== 'COMPLETED' && !c.is_savepoint)
    .map((c) => ({
      id: c.id,
      status: c.status,
      completedAt: undefined,
      sizeBytes: c.state_size,
      deltaBytes: c.delta_size,
      durationMs: c.end_to_end_duration,
      base: undefined,
      reason: c.failure_reason,
    }))
  const rows = [...retained, ...others].toSorted((a, b) => a.id - b.id)
  output.result(
    rows,
    rows.length === 0
      ? `${local.name} has completed no checkpoint yet.`
      : table(
          ['ID', 'STATUS', 'COMPLETED', 'SIZE', 'NEW', 'MS', 'BASE', 'REASON'],
          rows.map((r) => [
            r.id,
            r.status,
            r.completedAt === undefined ? undefined : new Date(r.completedAt).toISOString(),
            formatBytes(r.sizeBytes),
            formatBytes(r.deltaBytes),
            r.durationMs === undefined ? undefined : Math.round(r.durationMs),
            r.base,
            r.reason,
          ]),
        ),
  )
}

export async function showCheckpoint(
  output: Output,
  target: LocalName,
  id: CheckpointId | undefined,
): Promise<void> {
  const local = openLocal(target)
  const store = openJobStore(local.state, local.record)
  try {
    const found = retainedCheckpoint(local.name, await readJobLog(local.state, local.record), id)
    const manifest = await readManifest(store, found.manifest, found.sha256)
    const files = [...stateFiles(manifest)]
    output.result(
      { ...found, manifest },
      [
        fields([
          ['checkpoint', found.id],
          ['completed', new Date(found.at).toISOString()],
          ['attempt', found.attempt],
          ['size', `${formatBytes(found.sizeBytes)}, ${formatBytes(found.deltaBytes)} of it new`],
          ['base', found.base === 0 ? undefined : found.base],
          ['commits up to', found.committedUpTo],
          ['manifest', keyUrl(store.url, found.manifest)],
        ]),
        '',
        table(
          ['VERTEX', 'SUBTASK', 'HOLDS', 'SIZE', 'MODE', 'WRITTEN-BY', 'FILE'],
          files.map(({ vertex, subtask, holds, file }) => [
            vertex,
            subtask,
            holds,
            formatBytes(file.sizeBytes),
            file.mode,
            file.writtenBy,
            file.key ?? 'in the manifest',
          ]),
        ),
      ].join('\n'),
    )
  } finally {
    await store.close()
  }
}

/** Exit code 1 when anything is damaged. */
export async function verifyLocal(
  output: Output,
  target: LocalName,
  id: CheckpointId | undefined,
): Promise<number> {
  const local = openLocal(target)
  const store = openJobStore(local.state, local.record)
  try {
    const found = retainedCheckpoint(local.name, await readJobLog(local.state, local.record), id)
    const manifest = await readManifest(store, found.manifest, found.sha256)
    return await verify(output, store, `checkpoint ${found.id}`, { ...manifest, id: found.id })
  } finally {
    await store.close()
  }
}

/** Of a savepoint or checkpoint anywhere; S3 with the credentials and region of the environment. */
export async function verifyAt(output: Output, path: string, cwd: string): Promise<number> {
  const url = storageUrl(path, cwd)
  const place = locateManifest(url)
  const { openStoreAt } = await import('#runtime/storage/open-store')
  const store = openStoreAt(place.root, environmentS3())
  try {
    return await verify(output, store, url, await readManifest(store, place.key))
  } finally {
    await store.close()
  }
}

async function verify(
  output: Output,
  store: CheckpointStore,
  what: string,
  manifest: Manifest,
): Promise<number> {
  const bad: FileCheck[] = []
  let checked = 0
  let bytes = 0
  for await (const check of verifyCheckpoint(store, manifest)) {
    checked++
    bytes += check.file.sizeBytes
    if (check.problem !== undefined) bad.push(check)
  }
  const problems = bad.map(({ vertex, subtask, url, problem, detail }) => ({
    vertex,
    subtask,
    url,
    problem,
    detail,
  }))
  output.result(
    { what, id: manifest.id, files: checked, bytes, ok: bad.length === 0, problems },
    bad.length === 0
      ? `${what} is whole: manifest and ${checked} files, ${formatBytes(bytes)}, every SHA-256 as recorded`
      : [
          `${what} is damaged: ${bad.length} of ${checked} files`,
          ...problems.map((p) => `${p.url} (${p.vertex}/${p.subtask}): ${p.problem}, ${p.detail ?? ''}`),
        ].join('\n'),
  )
  return bad.length === 0 ? EXIT.ok : EXIT.failed
}

/**
 * The retained checkpoint `id`, or the newest.
 * @throws {CliError} when there is none
 */
function retainedCheckpoint(
  name: string,
  log: LogState | undefined,
  id: CheckpointId | undefined,
): LogState['retained'][number] {
  const retained = log?.retained ?? []
  const found = id === undefined ? retained.at(-1) : retained.find((c) => c.id === id)
  if (found !== undefined) return found
  if (retained.length === 0) throw notFound(`${name} has completed no checkpoint yet.`)
  throw notFound(
    `${name} keeps no checkpoint ${id ?? ''}: it keeps ${retained.map((c) => c.id).join(', ')}.`,
    `See: weir checkpoints list ${name}`,
  )
}
