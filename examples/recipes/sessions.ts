/**
 * Sessions: the records of a key with no pause of half a minute between them, as one record.
 *
 * Use it where a window ends by silence and not by the clock: visits, trips, bursts of errors. A
 * record that stands between two sessions joins them; a timer closes a session half a minute of
 * event time after its last record.
 */
import { boundedOutOfOrder, defineJob, files, type, valueState } from 'weir-stream'

interface Click {
  readonly user: string
  /** Milliseconds since the epoch. */
  readonly at: number
}
interface Session {
  readonly start: number
  readonly end: number
  readonly clicks: number
}
const GAP_MS = 30_000

export default defineJob(({ env, args }) => {
  env
    .source('clicks', files.jsonl<Click>(args.input))
    .assignTimestamps((click) => click.at, boundedOutOfOrder('5s'))
    .keyBy((click) => click.user)
    .process('sessions', {
      emits: type<Session & { user: string }>(),
      state: { open: valueState<readonly Session[]>([]) },
      onRecord({ at }, { state, timers }) {
        const touches = ({ start, end }: Session) => start - GAP_MS <= at && at <= end + GAP_MS
        const joined = state.open.get().filter(touches)
        const session: Session = {
          start: Math.min(at, ...joined.map(({ start }) => start)),
          end: Math.max(at, ...joined.map(({ end }) => end)),
          clicks: joined.reduce((sum, { clicks }) => sum + clicks, 1),
        }
        state.open.set([...state.open.get().filter((other) => !touches(other)), session])
        timers.setEventTimer(session.end + GAP_MS)
      },
      onTimer({ key, time }, { state, out }) {
        const isOver = ({ end }: Session) => end + GAP_MS <= time
        for (const session of state.open.get().filter(isOver)) out({ user: key, ...session })
        const open = state.open.get().filter((session) => !isOver(session))
        if (open.length === 0) state.open.clear()
        else state.open.set(open)
      },
    })
    .sink('sessions-out', files.jsonl(args.output))
})
