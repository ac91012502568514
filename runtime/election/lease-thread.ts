import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '#runtime/base/clock'
import { invariant, messageOf } from '#runtime/base/errors'
import type { RedisConfig } from '#runtime/contract/process-config'
import type { ElectionState } from './lease.ts'
import { LeaseLoop, type LeaseNotice } from './lease-loop.ts'
import { RedisLeaseStore } from './redis-lease-store.ts'

/**
 * The thread of a RedisLease: renews and watches with connections of its own, whatever the main
 * thread is busy with.
 */
export interface LeaseThreadData {
  readonly redis: RedisConfig
  readonly uid: string
  readonly token: string
}
export type ToLeaseThread = { readonly type: 'campaign'; readonly floor: number } | { readonly type: 'close' }
export type FromLeaseThread =
  | { readonly type: 'state'; readonly state: ElectionState }
  | { readonly type: 'notice'; readonly notice: LeaseNotice }
  | { readonly type: 'reachable'; readonly reachable: boolean; readonly why: string | undefined }
  | { readonly type: 'closed' }

invariant(parentPort !== null, 'lease-thread runs as a worker thread')
const port = parentPort
const { redis, uid, token }: LeaseThreadData = workerData
const post = (message: FromLeaseThread): void => port.postMessage(message)

const store = new RedisLeaseStore({ redis, uid, onHint: () => loop.hint() })
const loop = new LeaseLoop({
  store,
  clock: systemClock,
  random: Math.random,
  ttlMs: redis.ttlMs,
  token,
  onNotice: (notice) => post({ type: 'notice', notice }),
  onReachable: (reachable, error) =>
    post({ type: 'reachable', reachable, why: error === undefined ? undefined : messageOf(error) }),
})

port.on('message', (message: ToLeaseThread) => {
  if (message.type === 'campaign') {
    store.open()
    loop.campaign(message.floor, (state) => post({ type: 'state', state }))
    return
  }
  void loop.close().then(() => {
    store.close()
    post({ type: 'closed' })
    port.close()
  })
})
