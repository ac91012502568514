import { basename, resolve } from 'node:path'
import { badInput } from './cli-error.ts'

/** What a command works on: a job of `weir run`, by its state directory, or a StreamJob object. */
export type Target =
  | { readonly kind: 'local'; readonly name: string; readonly stateDir: string }
  | ({ readonly kind: 'cluster'; readonly name: string } & ClusterOptions)

export interface ClusterOptions {
  readonly namespace?: string
  readonly kubeconfig?: string
  readonly context?: string
}

export interface TargetOptions extends ClusterOptions {
  readonly stateDir?: string
}

export const STATE_ROOT = '.weir'

/**
 * As of a StreamJob (operator/api/v1alpha1/stream-job.ts), so that a local job can move to a
 * cluster under its name.
 */
const NAME = /^[a-z]([-a-z0-9]{0,43}[a-z0-9])?$/

export function checkJobName(name: string): string {
  if (NAME.test(name)) return name
  throw badInput(
    `Not a job name: ${JSON.stringify(name)}. Expected at most 45 lower-case letters, digits and dashes, ` +
      'beginning with a letter and not ending in a dash.',
  )
}

const KIND_PREFIX = /^(stj|streamjobs?(\.weir\.dev)?)\//

export const isClusterTarget = (
  text: string | undefined,
  options: TargetOptions,
  onKubectl: boolean,
): boolean =>
  onKubectl ||
  options.namespace !== undefined ||
  options.kubeconfig !== undefined ||
  options.context !== undefined ||
  (text !== undefined && KIND_PREFIX.test(text))

/** Where a command is called from. */
interface Caller {
  readonly onKubectl: boolean
  readonly cwd: string
  /** Names of the jobs under .weir. */
  readonly localNames: () => readonly string[]
}

/**
 * `word-count` -> the local job in .weir/word-count (or `--state-dir`); `stj/word-count`, any
 * cluster option, or `kubectl weir` -> the StreamJob. Without a name, the only local job is meant.
 * Pure but for the path of `cwd`.
 */
export function parseTarget(text: string | undefined, options: TargetOptions, caller: Caller): Target {
  return isClusterTarget(text, options, caller.onKubectl)
    ? clusterTarget(text, options)
    : localTarget(text, options.stateDir, caller)
}

function clusterTarget(text: string | undefined, options: ClusterOptions): Target {
  if (text === undefined) throw badInput('Which StreamJob? Give its name, such as stj/word-count.')
  const { namespace, kubeconfig, context } = options
  return {
    kind: 'cluster',
    name: checkJobName(text.replace(KIND_PREFIX, '')),
    ...(namespace === undefined ? {} : { namespace }),
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
  }
}

function localTarget(
  text: string | undefined,
  stateDir: string | undefined,
  { cwd, localNames }: Caller,
): Target {
  if (stateDir !== undefined) {
    const path = resolve(cwd, stateDir)
    return { kind: 'local', name: text ?? basename(path), stateDir: path }
  }
  const name = text === undefined ? onlyName(localNames()) : localName(text)
  return { kind: 'local', name, stateDir: resolve(cwd, STATE_ROOT, name) }
}

function localName(text: string): string {
  if (!text.includes('/')) return checkJobName(text)
  throw badInput(
    `Not a job: ${JSON.stringify(text)}. ` +
      'Expected the name of a local job, stj/NAME for one on a cluster, or --state-dir DIR.',
  )
}

function onlyName(names: readonly string[]): string {
  const [only, ...others] = names
  if (only === undefined)
    throw badInput(`Which job? There is none under ${STATE_ROOT}/ here.`, 'Start one with: weir run job.ts')
  if (others.length > 0)
    throw badInput(`Which job? There are several under ${STATE_ROOT}/ here: ${names.join(', ')}.`)
  return only
}
