import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { S3Access } from '#runtime/contract/process-config'

/**
 * A directory as the user types it as the URL that the runtime takes. What is a URL already stays
 * as it is.
 */
export const storageUrl = (text: string, cwd: string): string =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : pathToFileURL(resolve(cwd, text)).href

/** S3 as the variables of AWS's own tools describe it; credentials come from the SDK's chain. */
export function environmentS3(): S3Access {
  const endpoint = process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL']
  const region = process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? 'us-east-1'
  return { region, forcePathStyle: endpoint !== undefined, ...(endpoint === undefined ? {} : { endpoint }) }
}
