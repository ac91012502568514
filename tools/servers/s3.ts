import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { S3Access } from '#runtime/contract/process-config'
import { createS3Client } from '#runtime/storage/s3-client'
import { freePort } from './free-port.ts'
import { ServerProcess } from './server-process.ts'
import { tempDir } from './temp-dir.ts'
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

/**
 * A real S3 server (versitygw on a directory) on 127.0.0.1; it dies with the test process. The
 * first call on a machine builds it, which takes minutes.
 */
export async function startS3(): Promise<S3Server> {
  const file = await goTool(VERSITYGW)
  const root = await tempDir('s3')
  const dir = join(root.path, 'objects')
  const credentialsDir = join(root.path, 'credentials')
  const accessKey = 'test-access'
  const secretKey = 'test-secret-key'
  await mkdir(dir)
  await mkdir(credentialsDir)
  await writeFile(join(credentialsDir, 'AWS_ACCESS_KEY_ID'), accessKey)
  await writeFile(join(credentialsDir, 'AWS_SECRET_ACCESS_KEY'), secretKey)
  for (let tries = 1; ; tries++) {
    const port = await freePort()
    const env = { ROOT_ACCESS_KEY: accessKey, ROOT_SECRET_KEY: secretKey }
    const server = new ServerProcess({
      name: 'versitygw',
      file,
      args: ['--port', `127.0.0.1:${port}`, '--quiet', 'posix', dir],
      env,
      port,
    })
    try {
      await server.start()
    } catch (error) {
      await server.end('SIGKILL')
      if (tries < 3) continue
      await root.remove()
      throw error
    }
    const endpoint = `http://127.0.0.1:${port}`
    const access: S3Access = { endpoint, region: 'us-east-1', forcePathStyle: true, credentialsDir }
    const stop = async (): Promise<void> => {
      await server.end('SIGTERM')
      await root.remove()
    }
    return {
      endpoint,
      accessKey,
      secretKey,
      credentialsDir,
      dir,
      access,
      get pid() {
        return server.pid
      },
      async bucket(name) {
        const client = createS3Client(access)
        try {
          await client.send(new CreateBucketCommand({ Bucket: name }))
        } finally {
          client.destroy()
        }
        return name
      },
      stop,
      kill: () => server.end('SIGKILL'),
      async restart(options = { secretKey }) {
        await server.end('SIGTERM')
        env.ROOT_SECRET_KEY = options.secretKey
        await server.start()
      },
      [Symbol.asyncDispose]: stop,
    }
  }
}
