/** The job that the faults meet. */
export interface Setting {
  readonly input: 'local' | 's3'
  readonly output: 'local' | 's3'
  readonly taskManagers: number
  /** Of each TaskManager. */
  readonly slots: number
  readonly parallelism: number
}
