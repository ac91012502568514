/**
 * Every way that can fail, of each process by itself: to the S3 server, to Redis, from a
 * TaskManager to each JobManager, and to the data port of each TaskManager. The proxies stay while
 * runs come and go; each run's processes are configured to use them.
 */
import type { JobManagerSettings, TaskManagerSettings } from '#cli/local/process-configs'
import { systemCode } from '#runtime/base/errors'
import { FaultyProxy, type ProxiedRequest, type Verdict } from '#test/kit/faulty-proxy'
import { TcpProxy } from './tcp-proxy.ts'

/** Undefined: nothing to say about this request. */
export type S3Fault = (request: ProxiedRequest) => Verdict | undefined | Promise<Verdict | undefined>

/** The way of one process to the S3 server. */
export class S3Link implements AsyncDisposable {
  readonly proxy: FaultyProxy
  readonly #faults = new Set<S3Fault>()

  private constructor(proxy: FaultyProxy) {
    this.proxy = proxy
    proxy.decide = (request) => this.#decide(request)
  }

  static async start(target: string): Promise<S3Link> {
    return new S3Link(await FaultyProxy.start({ target, kill: () => Promise.resolve() }))
  }

  /** Gives the end of the fault. */
  suffer(fault: S3Fault): () => void {
    this.#faults.add(fault)
    return () => void this.#faults.delete(fault)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]()
  }

  async #decide(request: ProxiedRequest): Promise<Verdict> {
    for (const fault of this.#faults) {
      const verdict = await fault(request)
      if (verdict !== undefined) return verdict
    }
    return 'forward'
  }
}

export interface DataLink {
  readonly proxy: TcpProxy
  /** Port of the TaskManager itself. */
  readonly port: number
}

interface LinkTargets {
  readonly s3Endpoint: string
  readonly redisPort: number
  readonly jobManagers: readonly string[]
  readonly taskManagers: readonly string[]
}

export class Links implements AsyncDisposable {
  readonly s3: ReadonlyMap<string, S3Link>
  /** By JobManager. */
  readonly redis: ReadonlyMap<string, TcpProxy>
  /** By TaskManager, then in the order of the JobManagers. */
  readonly rpc: ReadonlyMap<string, readonly TcpProxy[]>
  /** By the TaskManager that is dialled. */
  readonly data: ReadonlyMap<string, DataLink>

  private constructor(ways: Pick<Links, 's3' | 'redis' | 'rpc' | 'data'>) {
    this.s3 = ways.s3
    this.redis = ways.redis
    this.rpc = ways.rpc
    this.data = ways.data
  }

  static async start(targets: LinkTargets): Promise<Links> {
    const { s3Endpoint, redisPort, jobManagers, taskManagers } = targets
    return new Links({
      s3: await byName([...jobManagers, ...taskManagers], () => S3Link.start(s3Endpoint)),
      redis: await byName(jobManagers, () => aimed(redisPort)),
      rpc: await byName(taskManagers, () => Promise.all(jobManagers.map(() => TcpProxy.start()))),
      data: await byName(taskManagers, dataLink),
    })
  }

  /** Every way is open again, and what was held arrives. */
  heal(): void {
    for (const proxy of this.#tcpProxies()) proxy.heal()
  }

  jobManager(name: string, config: JobManagerSettings): JobManagerSettings {
    const redis = this.redis.get(name)
    const url = redis === undefined ? undefined : `redis://127.0.0.1:${redis.port}`
    const own = this.#withOwnS3(name, config)
    return url === undefined || own.redis === undefined ? own : { ...own, redis: { ...own.redis, url } }
  }

  taskManager(name: string, config: TaskManagerSettings): TaskManagerSettings {
    const own = this.#withOwnS3(name, config)
    const data = this.data.get(name)
    if (data === undefined) return own
    return {
      ...own,
      jobManagers: config.jobManagers.map((address, index) => this.#rpcAddress(name, index, address)),
      data: { host: '127.0.0.1', port: data.port, advertise: data.proxy.host },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#tcpProxies(), ...this.s3.values()]
    await Promise.all(all.map((link) => link[Symbol.asyncDispose]()))
  }

  *#tcpProxies(): Generator<TcpProxy> {
    yield* this.redis.values()
    for (const proxies of this.rpc.values()) yield* proxies
    for (const { proxy } of this.data.values()) yield proxy
  }

  #rpcAddress(name: string, index: number, address: string): string {
    const proxy = this.rpc.get(name)?.[index]
    if (proxy === undefined) return address
    proxy.aim(Number(address.split(':').at(-1)))
    return `${proxy.host}:${proxy.port}`
  }

  #withOwnS3<C extends JobManagerSettings | TaskManagerSettings>(name: string, config: C): C {
    const endpoint = this.s3.get(name)?.proxy.url
    const { storage } = config
    if (endpoint === undefined || storage.type !== 's3') return config
    return { ...config, storage: { ...storage, access: { ...storage.access, endpoint } } }
  }
}

async function byName<T>(names: readonly string[], make: () => Promise<T>) {
  return new Map(await Promise.all(names.map(async (name) => [name, await make()] as const)))
}

async function aimed(port: number): Promise<TcpProxy> {
  const proxy = await TcpProxy.start()
  proxy.aim(port)
  return proxy
}

/** Whose ports are those of TaskManagers on 127.0.0.1. */
const DATA_HOST = '127.0.1.1'
/** Below the ports that Linux gives to outgoing connections. */
const DATA_PORTS = { from: 20_000, to: 32_000 }
const MAX_TRIES = 20

/**
 * A TaskManager tells its peers a host, and the port that it listens on itself: so the proxy has
 * that port on another address of the loopback.
 */
async function dataLink(): Promise<DataLink> {
  for (let attempt = 1; ; attempt++) {
    const { from, to } = DATA_PORTS
    const port = from + Math.floor(Math.random() * (to - from))
    try {
      const proxy = await TcpProxy.start(DATA_HOST, port)
      proxy.aim(port)
      return { proxy, port }
    } catch (error) {
      if (systemCode(error) !== 'EADDRINUSE' || attempt === MAX_TRIES) throw error
    }
  }
}
