import { decide } from '#operator/stream-job/decide'
import type { Plan, Step } from '#operator/stream-job/plan'
import type { RunStatus } from '#operator/api/v1alpha1/stream-job-status'
import { type Modifier, observed } from './observed.ts'

/** What is decided for a running job that differs by modifiers, and what its steps are. */
export const plan = (...modifiers: readonly Modifier[]): Plan => decide(observed(...modifiers))
export const kinds = (p: Plan): string[] =>
  p.steps.map((s) => (s.kind === 'delete' || s.kind === 'scale' ? `${s.kind} ${s.resource}` : s.kind))
export const stepOf = <K extends Step['kind']>(p: Plan, kind: K) =>
  p.steps.find((s): s is Extract<Step, { kind: K }> => s.kind === kind)
export const runOf = (p: Plan): RunStatus | undefined =>
  p.steps.flatMap((s) => (s.kind === 'writeStatus' && s.status.run !== undefined ? [s.status.run] : []))[0]
