import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** A directory as the user types it, or a URL, as the URL that the runtime takes. `chk/..` and `s3://` and `file://` stay as they are. */
export const storageUrl = (text: string, cwd: string): string =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : pathToFileURL(resolve(cwd, text)).href
