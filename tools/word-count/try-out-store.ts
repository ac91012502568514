import {
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type ListObjectsV2CommandOutput,
} from '@aws-sdk/client-s3'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Cluster } from '#tools/cluster/cluster'
import { portForward, type PortForward } from '#tools/cluster/port-forward'

const BUCKET = 'data'

/**
 * The S3 server that the chart's quickstart brings, reached from outside with the credentials that
 * the chart printed.
 */
export class TryOutStore implements AsyncDisposable {
  readonly #client: S3Client
  readonly #forward: PortForward
  readonly #etags = new Map<string, string>()
  private constructor(client: S3Client, forward: PortForward) {
    this.#client = client
    this.#forward = forward
  }

  static async open(cluster: Cluster, namespace: string, service: string): Promise<TryOutStore> {
    const forward = await portForward(cluster, namespace, `service/${service}`, 7070)
    const secret = await cluster.getJson<{ data: Record<string, string> }>('secret', service, '-n', namespace)
    const value = (name: string) => Buffer.from(secret.data[name] ?? '', 'base64').toString()
    const credentials = {
      accessKeyId: value('AWS_ACCESS_KEY_ID'),
      secretAccessKey: value('AWS_SECRET_ACCESS_KEY'),
    }
    const endpoint = `http://127.0.0.1:${forward.port}`
    return new TryOutStore(
      new S3Client({ region: 'us-east-1', forcePathStyle: true, endpoint, credentials }),
      forward,
    )
  }

  async put(key: string, text: string): Promise<void> {
    await this.#client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: text }))
  }

  /**
   * Copies what is new below `prefix` into `directory` and gives the paths of those files; names
   * that begin with a dot are not published. What a committing sink has published never changes:
   * @throws {Error} naming an object whose content differs from what it was.
   */
  async download(prefix: string, directory: string): Promise<string[]> {
    const fresh: string[] = []
    for (const { key, etag } of await this.#list(prefix)) {
      const known = this.#etags.get(key)
      if (known !== undefined && known !== etag)
        throw new Error(`s3://${BUCKET}/${key} was published and has changed since.`)
      if (known !== undefined) continue
      const answer = await this.#client.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }))
      const path = join(directory, key.slice(prefix.length))
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, (await answer.Body?.transformToByteArray()) ?? new Uint8Array())
      this.#etags.set(key, etag)
      fresh.push(path)
    }
    return fresh
  }

  async #list(prefix: string): Promise<{ key: string; etag: string }[]> {
    const found: { key: string; etag: string }[] = []
    let token: string | undefined
    do {
      const page: ListObjectsV2CommandOutput = await this.#client.send(
        new ListObjectsV2Command({
          Bucket: BUCKET,
          Prefix: prefix,
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
      )
      for (const { Key, ETag } of page.Contents ?? [])
        if (Key !== undefined && !Key.endsWith('/') && !Key.includes('/.'))
          found.push({ key: Key, etag: ETag ?? '' })
      token = page.NextContinuationToken
    } while (token !== undefined)
    return found
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy()
    await this.#forward[Symbol.asyncDispose]()
  }
}
