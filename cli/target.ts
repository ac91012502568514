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
    `Not a job name: ${JSON.stringify(name)}. Expected at most 45 lower-case letters, digits and dashes, beginning with a letter and not ending in a dash.`,
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

/**
 * `word-count` -> the local job in .weir/word-count (or `--state-dir`); `stj/word-count`, any
 * cluster option, or `kubectl weir` -> the StreamJob. `localNames` are the jobs under .weir:
 * without a name, the only one is meant. Pure but for the path of `cwd`.
 */
export function parseTarget(
  text: string | undefined,
  options: TargetOptions,
  context: {
    readonly onKubectl: boolean
    readonly cwd: string
    readonly localNames: () => readonly string[]
  },
): Target {
  if (isClusterTarget(text, options, context.onKubectl)) {
    if (text === undefined) throw badInput('Which StreamJob? Give its name, such as stj/word-count.')
    const { namespace, kubeconfig, context: kubeContext } = options
    return {
      kind: 'cluster',
      name: checkJobName(text.replace(KIND_PREFIX, '')),
      ...(namespace === undefined ? {} : { namespace }),
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(kubeContext === undefined ? {} : { context: kubeContext }),
    }
  }
  if (options.stateDir !== undefined) {
    const stateDir = resolve(context.cwd, options.stateDir)
    return { kind: 'local', name: text ?? basename(stateDir), stateDir }
  }
  if (text !== undefined) {
    if (text.includes('/'))
      throw badInput(
        `Not a job: ${JSON.stringify(text)}. Expected the name of a local job, stj/NAME for one on a cluster, or --state-dir DIR.`,
      )
    return { kind: 'local', name: checkJobName(text), stateDir: resolve(context.cwd, STATE_ROOT, text) }
  }
  const names = context.localNames()
  const [only] = names
  if (only === undefined || names.length > 1)
    throw badInput(
      only === undefined
        ? `Which job? There is none under ${STATE_ROOT}/ here.`
        : `Which job? There are several under ${STATE_ROOT}/ here: ${names.join(', ')}.`,
      only === undefined ? 'Start one with: weir run job.ts' : undefined,
    )
  return { kind: 'local', name: only, stateDir: resolve(context.cwd, STATE_ROOT, only) }
}
