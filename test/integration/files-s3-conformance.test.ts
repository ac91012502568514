import { afterAll, beforeAll } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import { files } from '#runtime/connectors/files/index'
import type { Bucket, BucketObject } from '#runtime/storage/bucket'
import { SystemAccess } from '#runtime/storage/connector-access'
import { sinkConformance } from '#test/kit/sink-conformance'
import { startS3, type S3Server } from '#tools/servers/s3'

const DATA = 'data'
let s3: S3Server
let access: SystemAccess
let places = 0

beforeAll(async () => {
  s3 = await startS3()
  await s3.bucket(DATA)
  access = new SystemAccess(s3.access, systemClock)
}, 600_000)
afterAll(async () => {
  access?.close()
  await s3?.stop()
})

const isHidden = ({ key }: BucketObject): boolean => key.split('/').some((part) => part.startsWith('.'))

async function valuesOf(bucket: Bucket, { key, sizeBytes, etag }: BucketObject): Promise<number[]> {
  const bytes = await bucket.getRange(key, 0, sizeBytes, etag)
  return Buffer.from(bytes).toString().trim().split('\n').map(Number)
}

sinkConformance('files.jsonl, S3', {
  mayReappear: true,
  place() {
    const bucket = access.bucket(DATA)
    const prefix = `place-${++places}/out/`
    const visible = async () => (await bucket.list(prefix)).filter((object) => !isHidden(object))
    const removeAll = async (): Promise<void> => {
      for (const { key } of await visible()) await bucket.remove(key)
    }
    return Promise.resolve({
      sink: () => files.jsonl<number>(`s3://${DATA}/${prefix}`),
      access,
      async visible() {
        const objects = await visible()
        const all = objects.map(async (object) => [object.key, await valuesOf(bucket, object)] as const)
        return new Map(await Promise.all(all))
      },
      async hidden() {
        const uploads = await bucket.listUploads(prefix)
        return [...(await bucket.list(prefix)).filter(isHidden), ...uploads].map(({ key }) => key)
      },
      take: {
        delete: removeAll,
        async move() {
          for (const object of await visible()) {
            await bucket.copy(object, `elsewhere/${object.key}`)
            await bucket.remove(object.key)
          }
        },
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
  },
})
