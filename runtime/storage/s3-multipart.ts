import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
} from './s3-library.ts'
import { WeirError } from '#runtime/base/errors'

export const MULTIPART_ABOVE_BYTES = 16 * 1024 * 1024
const PART_BYTES = 8 * 1024 * 1024
const MAX_PARTS = 10_000
const PARALLEL_PARTS = 4

export interface MultipartRequest {
  /** For parts: they may be repeated. */
  readonly client: S3Client
  /** For start and completion: sent once. */
  readonly once: S3Client
  readonly target: { readonly Bucket: string; readonly Key: string }
  readonly bytes: Uint8Array
  /** Sends one request that carries `sizeBytes` under its own deadline. */
  readonly run: <T>(sizeBytes: number, send: (signal: AbortSignal) => Promise<T>) => Promise<T>
  /** The same for a request that is sent also when the caller has given up. */
  readonly cleanUp: <T>(send: (signal: AbortSignal) => Promise<T>) => Promise<T>
}

/**
 * Uploads in parts and completes with `If-None-Match: *`; rejects like the conditional PUT.
 * Whatever fails, also when the caller gives up, the upload is aborted, so that no parts are left
 * behind: aborting one that did complete changes nothing.
 */
export async function createMultipart(request: MultipartRequest): Promise<void> {
  const { client, once, target, run, cleanUp } = request
  const started = await run(0, (abortSignal) =>
    once.send(new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'CRC32' }), { abortSignal }),
  )
  const upload = { ...target, UploadId: started.UploadId }
  if (upload.UploadId === undefined)
    throw new WeirError(
      'STO_UNSAFE',
      `The server started a multipart upload of ${target.Key} without an upload id.`,
    )
  try {
    const Parts = await uploadParts(request, upload.UploadId)
    await run(0, (abortSignal) =>
      once.send(
        new CompleteMultipartUploadCommand({ ...upload, IfNoneMatch: '*', MultipartUpload: { Parts } }),
        { abortSignal },
      ),
    )
  } catch (error) {
    await cleanUp((abortSignal) =>
      client.send(new AbortMultipartUploadCommand(upload), { abortSignal }),
    ).catch(() => undefined)
    throw error
  }
}

async function uploadParts(
  { client, target, bytes, run }: MultipartRequest,
  UploadId: string,
): Promise<CompletedPart[]> {
  const partBytes = Math.max(PART_BYTES, Math.ceil(bytes.byteLength / MAX_PARTS))
  const count = Math.ceil(bytes.byteLength / partBytes)
  const parts: CompletedPart[] = []
  let next = 0
  let failed = false
  const lane = async (): Promise<void> => {
    while (next < count && !failed) {
      const index = next++
      const Body = bytes.subarray(index * partBytes, Math.min(bytes.byteLength, (index + 1) * partBytes))
      const PartNumber = index + 1
      try {
        const { ETag, ChecksumCRC32 } = await run(Body.byteLength, (abortSignal) =>
          client.send(
            new UploadPartCommand({ ...target, UploadId, PartNumber, Body, ChecksumAlgorithm: 'CRC32' }),
            { abortSignal },
          ),
        )
        parts[index] = {
          PartNumber,
          ...(ETag === undefined ? {} : { ETag }),
          ...(ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 }),
        }
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(PARALLEL_PARTS, count) }, lane))
  for (const result of lanes) if (result.status === 'rejected') throw result.reason
  return parts
}
