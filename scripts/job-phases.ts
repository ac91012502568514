import { TRANSITIONS, WAITS_FOR, type PhaseKind } from '#runtime/job-manager/job-phase'

/** The page of a job's phases, drawn from the table that the machine keeps to. */
export function jobPhases(): string {
  const kinds = Object.keys(TRANSITIONS) as PhaseKind[]
  const edges = kinds.flatMap((from) => TRANSITIONS[from].map((to) => `  ${from} --> ${to}`))
  return [
    '# Phases of a job',
    '',
    'What a leading JobManager does with the job, from the epoch that it has opened until the run has ' +
      'ended or another JobManager leads.',
    'Made from `runtime/job-manager/job-phase.ts` by `npm run gen`.',
    '',
    '```mermaid',
    'stateDiagram-v2',
    `  [*] --> ${kinds[0]}`,
    ...edges,
    '  Closed --> [*]',
    '```',
    '',
    'From every phase but Closed the job may also go to Over, which is not drawn.',
    '',
    '| phase | waits for |',
    '| --- | --- |',
    ...kinds.map((kind) => `| ${kind} | ${WAITS_FOR[kind]} |`),
    '',
  ].join('\n')
}
