import { expect, test } from 'vitest'
import { locateManifest, parseStorageUrl, s3AccessOf } from '#runtime/storage/storage-url'
import { openStore, openStoreAt } from '#runtime/storage/open-store'

test('storage URLs are parsed', () => {
  expect(parseStorageUrl('s3://data/a/b/')).toEqual({ type: 's3', bucket: 'data', key: 'a/b' })
  expect(parseStorageUrl('s3://data')).toEqual({ type: 's3', bucket: 'data', key: '' })
  expect(parseStorageUrl('s3://data/50%25')).toEqual({ type: 's3', bucket: 'data', key: '50%25' })
  expect(parseStorageUrl('file:///var/a%20b')).toEqual({ type: 'file', path: '/var/a b' })
  expect(parseStorageUrl('/var/a')).toEqual({ type: 'file', path: '/var/a' })
})

test.each(['', 'data/a', 'http://data/a', 's3://', 's3://Bad_Bucket/a', 'file://host/a', 'file:///a%zz'])(
  '%j is refused, with what is expected',
  (url) => {
    expect(() => parseStorageUrl(url)).toThrow(/Expected s3:\/\/bucket\/key or file:\/\/\/path/)
  },
)

test('a checkpoint is read below the root of its job, a savepoint below its own directory', () => {
  const checkpoint = { root: 's3://data/job', key: 'chk/7-2/manifest.json' }
  expect(locateManifest('s3://data/job/chk/7-2/manifest.json')).toEqual(checkpoint)
  expect(locateManifest('s3://data/job/chk/7-2/')).toEqual(checkpoint)
  const savepoint = { root: 'file:///backup/sp-1', key: 'manifest.json' }
  expect(locateManifest('file:///backup/sp-1')).toEqual(savepoint)
  expect(locateManifest('file:///backup/sp-1/manifest.json')).toEqual(savepoint)
})

test('an s3:// path without S3 settings says what is missing', () => {
  expect(() => openStoreAt('s3://data/a', undefined)).toThrow(/no S3 settings/)
})

test('stores say where they are', async () => {
  const access = { region: 'us-east-1', forcePathStyle: false }
  const stores = [
    openStoreAt('s3://data/a/', access),
    openStoreAt('s3://data', access),
    openStoreAt('file:///var/a/', undefined),
    openStore({ type: 's3', bucket: 'data', root: 'x/y', access }),
  ]
  expect(stores.map((s) => s.url)).toEqual(['s3://data/a', 's3://data', 'file:///var/a', 's3://data/x/y'])
  await Promise.all(stores.map((s) => s.close()))
})

test('the access for s3:// paths is the own block, else that of the storage', () => {
  const own = { region: 'eu-central-1', forcePathStyle: false }
  const storage = {
    type: 's3',
    bucket: 'b',
    root: 'r',
    access: { region: 'us-east-1', forcePathStyle: true },
  } as const
  expect(s3AccessOf({ s3: own, storage })).toBe(own)
  expect(s3AccessOf({ storage })).toBe(storage.access)
  expect(s3AccessOf({ storage: { type: 'file', root: '/r' } })).toBeUndefined()
})
