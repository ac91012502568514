import { type Command, InvalidArgumentError, Option } from 'commander'
import { messageOf } from '#runtime/base/errors'
import { parseDuration } from '#runtime/base/units'

export interface OutputOptions {
  readonly output?: string
}

export const withOutput = (command: Command): Command =>
  command.addOption(
    new Option('-o, --output <format>', 'text for people or json for programs')
      .choices(['text', 'json'])
      .default('text'),
  )

/** Options that say which job is meant, on this machine or on a cluster. */
export const withTarget = (command: Command): Command =>
  withOutput(command)
    .option('--state-dir <dir>', 'state directory of a local job (default: .weir/NAME)')
    .option('-n, --namespace <namespace>', 'namespace of the StreamJob')
    .option('--kubeconfig <file>', 'kubeconfig to use for a StreamJob')
    .option('--context <name>', 'context of the kubeconfig')

export const TARGET = 'local job, or stj/NAME for a StreamJob on a cluster'

export function positiveInteger(text: string): number {
  const n = Number(text)
  if (!/^[0-9]+$/.test(text) || n < 1) throw new InvalidArgumentError('Expected a whole number, 1 or more.')
  return n
}

export function durationMs(text: string): number {
  try {
    return parseDuration(text)
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error))
  }
}

export const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
]
