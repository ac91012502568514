import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { freePort } from '#tools/servers/free-port'
import { ServerProcess } from '#tools/servers/server-process'

/** As it is in the image: Node needs 100 MB more to run the TypeScript sources. */
const DIST = new URL('../../dist/', import.meta.url).href
/** What operator/main.ts does in a pod, with an API server that asks for no token. */
const MAIN = `
  import { systemClock } from '${DIST}runtime/base/clock.js'
  import { createLogger } from '${DIST}runtime/base/logger.js'
  import { parseOperatorConfig } from '${DIST}operator/config.js'
  import { KubeClient } from '${DIST}operator/kube/client.js'
  import { Operator } from '${DIST}operator/operator.js'
  const { SERVER, CONFIG, IDENTITY } = process.env
  const stop = new AbortController()
  process.on('SIGTERM', () => stop.abort())
  const config = parseOperatorConfig(CONFIG, 'CONFIG')
  const client = new KubeClient({ server: SERVER, authorize: async () => undefined })
  const logger = createLogger('operator', config.logLevel)
  const shared = { config, client, logger, clock: systemClock, random: Math.random }
  await new Operator({ ...shared, namespace: 'weir', identity: IDENTITY }).run(stop.signal)
  process.exit(0)
`
/** The first as in images/bin/weir-operator; the second Node chooses by itself in 512Mi. */
const HEAP = ['--max-semi-space-size=4', '--max-old-space-size=256']
/** Of /proc/<pid>/stat, on Linux for every processor. */
const TICKS_PER_SECOND = 100

export interface Usage {
  readonly rssMb: number
  readonly cpuSeconds: number
}

/** The operator as it runs in its pod, asked to use an API server. */
export class OperatorProcess implements AsyncDisposable {
  readonly #process: ServerProcess
  private constructor(process: ServerProcess) {
    this.#process = process
  }

  static async start(server: string, identity: string): Promise<OperatorProcess> {
    if (!existsSync(new URL(DIST))) throw new Error(`${DIST} is not there: npm run build makes it.`)
    const port = await freePort()
    const storage = { s3: { bucket: 'shared', credentialsSecret: 's3-root' } }
    const defaults = { image: 'weir:1', storage, redis: { url: 'redis://redis:6379' } }
    const config = { logLevel: 'Warn', server: { host: '127.0.0.1', port }, defaults }
    const env = { SERVER: server, IDENTITY: identity, CONFIG: JSON.stringify(config) }
    const args = [...HEAP, '--input-type=module', '--eval', MAIN]
    const started = new ServerProcess({ name: 'operator', file: process.execPath, args, env, port })
    await started.start()
    return new OperatorProcess(started)
  }

  /** @throws {Error} with its last words where it has ended. */
  check(): void {
    const { lastWords } = this.#process
    if (lastWords !== undefined) throw new Error(`The operator has ended: ${lastWords}`)
  }

  async usage(): Promise<Usage> {
    const { pid } = this.#process
    const [, kib = '0'] = /VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    const times = stat.slice(stat.lastIndexOf(')')).split(' ')
    const ticks = Number(times[12]) + Number(times[13])
    return { rssMb: Number(kib) / 1024, cpuSeconds: ticks / TICKS_PER_SECOND }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end('SIGTERM')
  }
}
