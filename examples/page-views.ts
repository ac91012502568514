import { boundedOutOfOrder, defineJob, files, sideOutput, sliding } from 'weir-stream'
import * as z from 'zod'

interface View {
  readonly page: string
  readonly user: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

const late = sideOutput<View>('late')

/**
 * Views of each page in the last five minutes, a new figure each minute of event time. Reads lines
 * such as {"page":"/","user":"u1","at":1700000000000} from `input`. Views may come 30 seconds out
 * of order; those up to two minutes late correct the figures already written, later ones go to
 * `late`.
 */
export default defineJob(
  { args: z.object({ input: z.string(), output: z.string(), late: z.string() }) },
  ({ env, args }) => {
    const counts = env
      .source('views', files.jsonl<View>(args.input, { onBadLine: 'skip' }))
      .assignTimestamps((view) => view.at, boundedOutOfOrder('30s', { idleAfter: '1m' }))
      .keyBy((view) => view.page)
      .window('per-page', sliding({ size: '5m', slide: '1m' }), { allowedLateness: '2m', lateTo: late })
      .count()
    counts
      .map(({ key, window, count }) => ({ page: key, from: new Date(window.start).toISOString(), count }))
      .sink('counts', files.jsonl(args.output))
    counts.getSideOutput(late).sink('late', files.jsonl(args.late))
  },
)
