/**
 * The JobManagers of many jobs in one server: every job has two pods, each at a loopback address of
 * its own, of which one leads. They say what they know each second, and a further checkpoint every
 * ten.
 */
import { once } from 'node:events'
import http from 'node:http'
import type { JobFacts } from '#runtime/contract/rest'

export const CHECKPOINT_EVERY_S = 10

/** Loopback address of the leader, or of the standby, of job number `index`. */
export const addressOf = (index: number, isLeader: boolean): string =>
  `127.${(isLeader ? 1 : 101) + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`

interface Place {
  readonly index: number
  readonly isLeader: boolean
}

function placeOf(address: string): Place {
  const [, a = 0, b = 0, c = 0] = address.replace('::ffff:', '').split('.').map(Number)
  return { index: ((a % 100) - 1) * 65_536 + b * 256 + c, isLeader: a < 100 }
}

export class JobManagers implements AsyncDisposable {
  readonly #streams = new Map<http.ServerResponse, Place>()
  readonly #server = http.createServer((request, response) => {
    const place = placeOf(request.socket.localAddress ?? '')
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.write(this.#lineOf(place))
    this.#streams.set(response, place)
    response.on('close', () => this.#streams.delete(response))
  })
  readonly #uids: ReadonlyMap<number, string>
  #second = 0
  #timer: NodeJS.Timeout | undefined

  private constructor(uids: ReadonlyMap<number, string>) {
    this.#uids = uids
  }

  /** `uids`: of the jobs, by number. */
  static async start(port: number, uids: ReadonlyMap<number, string>): Promise<JobManagers> {
    const started = new JobManagers(uids)
    started.#server.listen(port, '0.0.0.0')
    await once(started.#server, 'listening')
    started.#timer = setInterval(() => started.#tell(), 1000)
    return started
  }

  get streams(): number {
    return this.#streams.size
  }

  /** Bytes of one document of facts. */
  get factsBytes(): number {
    return Buffer.byteLength(this.#lineOf({ index: 0, isLeader: true }))
  }

  #tell(): void {
    this.#second++
    for (const [response, place] of this.#streams) response.write(this.#lineOf(place))
  }

  /** Not all jobs checkpoint in the same second. */
  #lineOf({ index, isLeader }: Place): string {
    const id = Math.floor((this.#second + (index % CHECKPOINT_EVERY_S)) / CHECKPOINT_EVERY_S) + 1
    const facts = factsOf(index, this.#uids.get(index) ?? '', id, this.#second)
    return `${JSON.stringify(isLeader ? facts : { ...facts, leading: false, state: 'Created' })}\n`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

const factsOf = (index: number, uid: string, checkpoint: number, second: number): JobFacts => ({
  version: '0.1.0',
  job: { namespace: 'shop', name: `job-${index}`, uid },
  run: 1,
  leading: true,
  leader: `job-${index}-jm-0`,
  epoch: 1,
  attempt: '1.1',
  state: 'Running',
  stateSince: 0,
  message: 'all tasks run',
  waits: [],
  error: undefined,
  restarts: 0,
  parallelism: 3,
  slots: { free: 0, total: 3, wanted: 3 },
  taskManagers: 3,
  planHash: 'a1b2c3d4e5f60718',
  guarantee: 'exactly-once',
  storagePath: `s3://shared/weir/shop/job-${index}/${uid}`,
  restoredFrom: undefined,
  records: { in: second * 1000, out: second * 900, perSecond: 1000, outPerSecond: 900 },
  watermark: null,
  skipped: { lateDropped: 0, badRecords: 0, skippedCommits: 0, leftPending: 0 },
  checkpoint: {
    phase: 'IDLE',
    inProgress: undefined,
    completed: checkpoint,
    failed: 0,
    consecutiveFailures: 0,
    last: {
      id: checkpoint,
      completedAt: Date.now(),
      path: `s3://shared/weir/shop/job-${index}/${uid}/checkpoints/chk-${checkpoint}`,
      sizeBytes: 1_000_000,
      durationMs: 150,
    },
    lastFailure: undefined,
  },
  operations: [],
  recoveries: [],
})
