/**
 * The state directory of a local job, and the only place that names files in it:
 *
 *   local.json        what the job is (LocalRecord); who runs it is said by `lock`
 *   lock              held while `weir run` lives
 *   token             per-job secret, mode 0600
 *   job.ts            source of an inline module
 *   job.mjs           bundle of a module that imports files of its own
 *   storage/          the checkpoint store: storage/<namespace>/<name>/<uid>/
 *   config/           configuration of the processes, written at each start
 *   logs/             one file per process
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as z from 'zod'
import { systemCode, WeirError } from '#runtime/base/errors'
import { jobRoot } from '#runtime/storage/paths'
import { STATE_ROOT } from '#cli/target'
import { writeAtomically } from './write-atomically.ts'

const localRecord = z.object({
  version: z.literal(1),
  name: z.string(),
  namespace: z.string(),
  cluster: z.string(),
  uid: z.string(),
  createdAt: z.int(),
  /** What `weir restore` and `weir run` without a file start again. */
  job: z.object({
    /** Job module or manifest as the user named it, absolute. */
    file: z.string(),
    args: z.record(z.string(), z.unknown()),
    taskManagers: z.int().positive(),
    slots: z.int().positive(),
    parallelism: z.int().positive().optional(),
    checkpointIntervalMs: z.int().positive(),
  }),
  /** Of the newest start; where the log says another, the log is right. */
  run: z.int().nonnegative(),
  rest: z.string().optional(),
  /** Why the run, if it is the newest, has failed. */
  failure: z.object({ run: z.int(), at: z.number(), message: z.string() }).optional(),
  /** Restore block of a manifest, and the first run that it was given to. */
  restore: z.object({ key: z.string(), run: z.int().positive() }).optional(),
})
export type LocalRecord = z.infer<typeof localRecord>

export class StateDir {
  readonly path: string
  constructor(path: string) {
    this.path = resolve(path)
  }

  get recordFile(): string {
    return join(this.path, 'local.json')
  }
  get lockFile(): string {
    return join(this.path, 'lock')
  }
  get tokenFile(): string {
    return join(this.path, 'token')
  }
  get inlineModule(): string {
    return join(this.path, 'job.ts')
  }
  get bundle(): string {
    return join(this.path, 'job.mjs')
  }
  get logs(): string {
    return join(this.path, 'logs')
  }
  config(process: string): string {
    return join(this.path, 'config', `${process}.json`)
  }
  ready(process: string): string {
    return join(this.path, 'config', `${process}.ready.json`)
  }
  log(process: string): string {
    return join(this.logs, `${process}.log`)
  }
  storageRoot(record: Pick<LocalRecord, 'namespace' | 'name' | 'uid'>): string {
    return jobRoot(join(this.path, 'storage'), record)
  }

  create(): void {
    try {
      for (const folder of [this.path, this.logs, join(this.path, 'config'), join(this.path, 'storage')])
        mkdirSync(folder, { recursive: true })
    } catch (cause) {
      throw new WeirError(
        'CFG_INVALID',
        `Cannot write the state directory ${this.path}: ${systemCode(cause)}. Choose another by --state-dir.`,
        { cause },
      )
    }
  }

  /**
   * Undefined when there is no job here.
   * @throws {WeirError} STO_CORRUPT when local.json cannot be understood
   */
  read(): LocalRecord | undefined {
    let text: string
    try {
      text = readFileSync(this.recordFile, 'utf8')
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
      throw error
    }
    const parsed = localRecord.safeParse(parseJson(text))
    if (parsed.success) return parsed.data
    const problem = parsed.error.issues
      .map((i) => `${i.path.join('.') || 'the file'}: ${i.message}`)
      .join('; ')
    throw new WeirError(
      'STO_CORRUPT',
      `${this.recordFile} is not the record of a local job (${problem}). ` +
        'The checkpoints below storage/ are untouched: ' +
        'use another --state-dir with --from, or mend the file.',
    )
  }

  write(record: LocalRecord): void {
    writeAtomically(this.recordFile, `${JSON.stringify(record, null, 2)}\n`)
  }

  /** The per-job secret, made on first use. */
  token(): string {
    if (!existsSync(this.tokenFile))
      writeAtomically(this.tokenFile, `${randomBytes(32).toString('hex')}\n`, 0o600)
    return readFileSync(this.tokenFile, 'utf8').trim()
  }

  /** The state directory of the job whose files are at `root`, if it is a local one. */
  static owning(root: string): StateDir | undefined {
    const state = new StateDir(join(root, '../../../..'))
    const record = state.read()
    return record !== undefined && state.storageRoot(record) === root ? state : undefined
  }

  /** Names of local jobs below `cwd`/.weir, sorted. */
  static names(cwd: string): string[] {
    try {
      return readdirSync(join(cwd, STATE_ROOT), { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && existsSync(join(cwd, STATE_ROOT, entry.name, 'local.json')))
        .map((entry) => entry.name)
        .toSorted()
    } catch {
      return []
    }
  }
}

/** Where the job of that name keeps its state. */
export const stateDirOf = (name: string, chosen: string | undefined, cwd: string): string =>
  resolve(cwd, chosen ?? join(STATE_ROOT, name))

export const newUid = (): string => randomUUID()

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
