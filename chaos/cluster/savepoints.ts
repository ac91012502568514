export interface SavepointView {
  readonly metadata: { readonly name: string }
  readonly status?: { readonly phase?: string; readonly trigger?: string }
}

/** The complete Savepoint of a suspended job that is not among `used`. Pure. */
export const freshSavepoint = (
  savepoints: readonly SavepointView[],
  used: ReadonlySet<string>,
): string | undefined =>
  savepoints.find(
    ({ metadata: { name }, status }) =>
      status?.trigger === 'Suspend' && status.phase === 'Completed' && !used.has(name),
  )?.metadata.name
