/** The StreamJob of a run, as its user writes it. Pure but for the sources of the job. */
import { readFileSync } from 'node:fs'
import { MODULES } from '../stage.ts'

export const JOB = 'chaos'

/** What the user can change. */
export interface JobSpec {
  readonly module: keyof typeof MODULES
  readonly taskManagers: number
  /** Of each TaskManager; the job uses all of them. */
  readonly slots: number
  readonly upgradeMode: 'LastCheckpoint' | 'Savepoint'
  readonly state: 'Running' | 'Suspended'
  /** Name of the Savepoint that the job was restored from last. */
  readonly restoredFrom?: string
}

/** Input and output of the job of a namespace: key prefixes in the bucket. */
export const placesOf = (namespace: string) => ({
  input: `${namespace}/in/`,
  output: `${namespace}/out/`,
})

export function streamJobOf(namespace: string, bucket: string, spec: JobSpec) {
  const { input, output } = placesOf(namespace)
  const { restoredFrom } = spec
  return {
    apiVersion: 'weir.dev/v1alpha1',
    kind: 'StreamJob',
    metadata: { name: JOB, namespace },
    spec: {
      job: {
        inline: readFileSync(MODULES[spec.module], 'utf8'),
        args: { input: `s3://${bucket}/${input}`, output: `s3://${bucket}/${output}`, watch: '500ms' },
      },
      state: spec.state,
      upgrade: { mode: spec.upgradeMode },
      jobManager: { replicas: 2 },
      taskManager: { replicas: spec.taskManagers, slots: spec.slots },
      checkpoint: { interval: '1s', minPause: '200ms', timeout: '30s' },
      restart: { delay: '200ms', maxDelay: '5s' },
      ...(restoredFrom === undefined ? {} : { restore: { savepointRef: { name: restoredFrom } } }),
    },
  } as const
}
