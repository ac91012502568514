import * as z from 'zod'

declare const kind: unique symbol

/**
 * A number or text that names one kind of thing. A plain one is taken as any kind; one kind is
 * never taken for another: that does not compile.
 */
type Id<T extends number | string, Kind extends string> = T & { readonly [kind]?: Kind }

/** Of a leader's term: grows with each election that its log knows of. */
export type Epoch = Id<number, 'epoch'>
/** Of a checkpoint or savepoint: grows within a job, across runs and leaders. */
export type CheckpointId = Id<number, 'checkpoint'>
/** Of one deployment of a job's spec, by whoever starts it: operator or command line. */
export type RunNumber = Id<number, 'run'>
/** `<epoch>.<n>`: one execution of the job between restarts; never reused. */
export type AttemptId = Id<string, 'attempt'>

export const attemptId: z.ZodType<AttemptId, AttemptId> = z.string().regex(/^[0-9]+\.[0-9]+$/)
export const epoch: z.ZodType<Epoch, Epoch> = z.int().positive()
/** 0: of nobody's, so that anything is newer. */
export const epochOrNone: z.ZodType<Epoch, Epoch> = z.int().nonnegative()
export const checkpointId: z.ZodType<CheckpointId, CheckpointId> = z.int().positive()
/** 0: none. */
export const checkpointIdOrNone: z.ZodType<CheckpointId, CheckpointId> = z.int().nonnegative()
export const runNumber: z.ZodType<RunNumber, RunNumber> = z.int().nonnegative()
