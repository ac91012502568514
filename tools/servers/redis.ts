import { freePort } from './free-port.ts'
import { ServerProcess } from './server-process.ts'
import { tempDir } from './temp-dir.ts'
import { aptTool } from './tools.ts'

export interface RedisServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** SIGTERM, and the data directory is removed. */
  stop(): Promise<void>
  /** SIGKILL; `restart` may follow. */
  kill(): Promise<void>
  /** Starts again on the same port, empty: nothing is persisted. */
  restart(): Promise<void>
}

export interface RedisOptions {
  readonly password?: string
  /** More command line arguments of redis-server. */
  readonly args?: readonly string[]
}

const MAX_STARTS = 3

/** A real redis-server on 127.0.0.1 without persistence; it dies with the test process. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const file = await aptTool('redis-server', 'redis-server')
  const directory = await tempDir('redis')
  const auth = options.password === undefined ? [] : ['--requirepass', options.password]
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const args = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      directory.path,
      ...auth,
      ...(options.args ?? []),
    ]
    const server = new ServerProcess({ name: 'redis-server', file, args, port })
    try {
      await server.start()
    } catch (error) {
      await server.end('SIGKILL')
      if (attempt < MAX_STARTS) continue
      await directory.remove()
      throw error
    }
    const stop = async (): Promise<void> => {
      await server.end('SIGTERM')
      await directory.remove()
    }
    return {
      url: `redis://127.0.0.1:${port}`,
      port,
      get pid() {
        return server.pid
      },
      stop,
      kill: () => server.end('SIGKILL'),
      async restart() {
        await server.end('SIGKILL')
        await server.start()
      },
      [Symbol.asyncDispose]: stop,
    }
  }
}
