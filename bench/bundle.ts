import { readFile } from 'node:fs/promises'

/** Each after what it imports. */
const FILES = ['probe.ts', 'events.ts', 'checksum.ts', 'checksum-sink.ts', 'jobs.ts']

/**
 * The jobs as one module, as a job has to be: the files above without their imports of each other
 * and of types. `#runtime/index` is what users import as `weir-stream`, and becomes that.
 */
export async function bundledJobs(): Promise<string> {
  const texts = await Promise.all(FILES.map((name) => readFile(new URL(name, import.meta.url), 'utf8')))
  return texts
    .map((text) =>
      text
        .replaceAll("from '#runtime/index'", "from 'weir-stream'")
        .replaceAll(/^import (type )?\{[^}]*\} from '(\.|#)[^']*'\n/gm, ''),
    )
    .join('\n')
}
