/**
 * Prepares the chart's try-out S3 server: makes the buckets and uploads sample text. What exists is
 * left as it is, so that it can run again with every upgrade.
 *
 * weir-quickstart-init --endpoint=URL --bucket=NAME... [--sample=s3://bucket/prefix/]
 * [--region=us-east-1] [--limit=4m] Credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Exit
 * code 2: wrong arguments; 1: the server did not do it.
 */
import { parseArgs } from 'node:util'
import { retrying } from '#runtime/base/backoff'
import { systemClock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import { parseDuration } from '#runtime/base/units'
import { createS3Client } from '#runtime/storage/s3-client'
import {
  CreateBucketCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '#runtime/storage/s3-library'
import { sampleFiles } from '#tools/word-count/sample-text'

interface Options {
  readonly endpoint: string
  readonly region: string
  readonly buckets: readonly string[]
  readonly sample: { readonly bucket: string; readonly prefix: string } | undefined
  readonly limitMs: number
}

function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      endpoint: { type: 'string' },
      region: { type: 'string', default: 'us-east-1' },
      bucket: { type: 'string', multiple: true, default: [] },
      sample: { type: 'string' },
      limit: { type: 'string', default: '4m' },
    },
  })
  if (values.endpoint === undefined)
    throw new WeirError('CFG_INVALID', '--endpoint is missing. Expected the URL of an S3 server.')
  const sample = values.sample === undefined ? undefined : /^s3:\/\/([^/]+)\/(.*)$/.exec(values.sample)
  if (sample === null)
    throw new WeirError('CFG_INVALID', `--sample=${values.sample} is not of the form s3://bucket/prefix/.`)
  return {
    endpoint: values.endpoint,
    region: values.region,
    buckets: values.bucket,
    sample: sample === undefined ? undefined : { bucket: sample[1] ?? '', prefix: sample[2] ?? '' },
    limitMs: parseDuration(values.limit),
  }
}

const statusOf = (error: unknown): number | undefined =>
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode

/** True: it was not there. */
async function makeBucket(client: S3Client, bucket: string): Promise<boolean> {
  try {
    await client.send(new HeadBucketCommand({ Bucket: bucket }))
    return false
  } catch (error) {
    if (statusOf(error) !== 404) throw error
  }
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  return true
}

async function upload(client: S3Client, bucket: string, key: string, text: string): Promise<boolean> {
  try {
    await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))
    return false
  } catch (error) {
    if (statusOf(error) !== 404) throw error
  }
  await client.send(
    new PutObjectCommand({ Bucket: bucket, Key: key, Body: text, ContentType: 'text/plain; charset=utf-8' }),
  )
  return true
}

async function prepare(options: Options): Promise<void> {
  const client = createS3Client({ endpoint: options.endpoint, region: options.region, forcePathStyle: true })
  // The server may be starting: everything but a refusal is tried again until the limit.
  const retry = {
    ...{
      initialMs: 250,
      maxMs: 2000,
      multiplier: 2,
      jitter: 0.1,
      limitMs: options.limitMs,
      clock: systemClock,
      random: Math.random,
    },
    retryable: (error: unknown) => statusOf(error) !== 403,
  }
  for (const bucket of options.buckets) {
    const made = await retrying(() => makeBucket(client, bucket), {
      ...retry,
      what: `bucket ${bucket} on ${options.endpoint}`,
    })
    console.log(`bucket ${bucket}: ${made ? 'made' : 'exists'}`)
  }
  const { sample } = options
  if (sample === undefined) return
  for (const { name, text } of sampleFiles()) {
    const key = `${sample.prefix}${name}`
    const made = await retrying(() => upload(client, sample.bucket, key, text), {
      ...retry,
      what: `s3://${sample.bucket}/${key}`,
    })
    console.log(`s3://${sample.bucket}/${key}: ${made ? `${text.length} bytes` : 'exists'}`)
  }
}

try {
  await prepare(parseOptions(process.argv.slice(2)))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = error instanceof WeirError && error.code === 'CFG_INVALID' ? 2 : 1
}
