/**
 * What a JobManager says about the files of a savepoint that it took when its run was stopped. The
 * Savepoint object that the operator makes for it carries it as an annotation: the status of an
 * object cannot be given when it is created.
 */
import * as z from 'zod'

const takenSavepoint = z.object({
  checkpointId: z.int().min(0).optional(),
  sizeBytes: z.int().min(0).optional(),
  maxParallelism: z.int().min(0).optional(),
  formatVersion: z.int().min(0).optional(),
})
export type TakenSavepoint = z.infer<typeof takenSavepoint>

export const takenText = (taken: TakenSavepoint): string => JSON.stringify(takenSavepoint.parse(taken))

/** Undefined for text that the operator did not write. */
export function parseTaken(text: string | undefined): TakenSavepoint | undefined {
  if (text === undefined) return undefined
  try {
    return takenSavepoint.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
