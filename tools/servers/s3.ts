import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { S3Access } from '#runtime/contract/process-config'
import { createS3Client } from '#runtime/storage/s3-client'
import { freePort } from './free-port.ts'
import { ServerProcess } from './server-process.ts'
import { type TempDir, tempDir } from './temp-dir.ts'
import { goTool } from './tools.ts'

export const VERSITYGW = {
  name: 'versitygw',
  pkg: 'github.com/versity/versitygw/cmd/versitygw',
  version: 'v1.8.0',
} as const

export interface S3Server extends AsyncDisposable {
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  /** Directory with the credential files that `S3Access.credentialsDir` expects. */
  readonly credentialsDir: string
  /** Directory of the buckets; objects are files below it. */
  readonly dir: string
  readonly access: S3Access
  readonly pid: number
  /** Creates a bucket and gives its name back. */
  bucket(name: string): Promise<string>
  stop(): Promise<void>
  kill(): Promise<void>
  /**
   * Ends in an orderly way and starts again on the same port with the same objects. (Killed while
   * it completes an upload, versitygw 1.8.0 can lose the upload.) With another secret key it
   * refuses whoever has the one of the start.
   */
  restart(options?: { readonly secretKey: string }): Promise<void>
}

export interface S3Options {
  /** For the objects; it stays. Default: one of its own, removed by `stop`. */
  readonly dir?: string
}

const ACCESS_KEY = 'test-access'
const SECRET_KEY = 'test-secret-key'
const MAX_STARTS = 3

/**
 * A real S3 server (versitygw on a directory) on 127.0.0.1; it dies with the test process. The
 * first call on a machine builds it, which takes minutes.
 */
export async function startS3(options: S3Options = {}): Promise<S3Server> {
  const file = await goTool(VERSITYGW)
  const root = await tempDir('s3')
  const dir = options.dir ?? join(root.path, 'objects')
  const credentialsDir = join(root.path, 'credentials')
  await mkdir(dir, { recursive: true })
  await mkdir(credentialsDir)
  await writeFile(join(credentialsDir, 'AWS_ACCESS_KEY_ID'), ACCESS_KEY)
  await writeFile(join(credentialsDir, 'AWS_SECRET_ACCESS_KEY'), SECRET_KEY)
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const env = { ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: SECRET_KEY }
    const args = ['--port', `127.0.0.1:${port}`, '--quiet', 'posix', dir]
    const server = new ServerProcess({ name: 'versitygw', file, args, env, port })
    try {
      await server.start()
      return running({ server, env, root, dir, credentialsDir, port })
    } catch (error) {
      await server.end('SIGKILL')
      if (attempt < MAX_STARTS) continue
      await root.remove()
      throw error
    }
  }
}

function running(it: {
  readonly server: ServerProcess
  /** Of the next start. */
  readonly env: { ROOT_SECRET_KEY: string }
  readonly root: TempDir
  readonly dir: string
  readonly credentialsDir: string
  readonly port: number
}): S3Server {
  const { server, env, root, dir, credentialsDir, port } = it
  const endpoint = `http://127.0.0.1:${port}`
  const access: S3Access = { endpoint, region: 'us-east-1', forcePathStyle: true, credentialsDir }
  const stop = async (): Promise<void> => {
    await server.end('SIGTERM')
    await root.remove()
  }
  return {
    endpoint,
    accessKey: ACCESS_KEY,
    secretKey: SECRET_KEY,
    credentialsDir,
    dir,
    access,
    get pid() {
      return server.pid
    },
    bucket: (name) => makeBucket(access, name),
    stop,
    kill: () => server.end('SIGKILL'),
    async restart({ secretKey } = { secretKey: SECRET_KEY }) {
      await server.end('SIGTERM')
      env.ROOT_SECRET_KEY = secretKey
      await server.start()
    },
    [Symbol.asyncDispose]: stop,
  }
}

async function makeBucket(access: S3Access, name: string): Promise<string> {
  const client = createS3Client(access)
  try {
    await client.send(new CreateBucketCommand({ Bucket: name }))
    return name
  } finally {
    client.destroy()
  }
}
