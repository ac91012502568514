import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '#runtime/base/errors'
import { VERSITYGW } from '#tools/servers/s3'
import { parseSource } from '#tools/source-file'
import { aptTool, goTool } from '#tools/servers/tools'
import { root } from './root.ts'

/** A server that some tests run against. The test kit finds or installs it. */
interface TestServer {
  readonly name: string
  /**
   * The module of the test kit that starts it; a test file that imports it, directly or not, needs
   * the server.
   */
  readonly module: string
  readonly find: () => Promise<string>
}

const SERVERS: readonly TestServer[] = [
  { name: 'Redis', module: 'test/kit/redis', find: () => aptTool('redis-server', 'redis-server') },
  { name: 'S3 (versitygw)', module: 'test/kit/s3', find: () => goTool(VERSITYGW) },
]

export interface MissingServer {
  readonly name: string
  readonly module: string
  /** Why it is missing and how to get it. */
  readonly reason: string
}

/** Finds or installs every server that one of `testFiles` needs. */
export async function prepareServers(testFiles: readonly string[]): Promise<MissingServer[]> {
  const wanted = SERVERS.filter((server) => testFiles.some((file) => reaches(file, server.module)))
  const missing: MissingServer[] = []
  for (const { name, module, find } of wanted) {
    try {
      console.log(`${name}: ${await find()}`)
    } catch (error) {
      missing.push({ name, module, reason: messageOf(error) })
    }
  }
  return missing
}

/**
 * True when `file` (absolute or relative to the repository) imports `module` through files of
 * test/.
 */
export function reaches(file: string, module: string, seen: Set<string> = new Set()): boolean {
  const path = file.startsWith(root) ? file.slice(root.length + 1) : file
  if (seen.has(path) || !existsSync(join(root, path))) return false
  seen.add(path)
  return parseSource(path, readFileSync(join(root, path), 'utf8')).imports.some(
    (it) =>
      !it.typeOnly &&
      (it.path === module ||
        (it.path?.startsWith('test/') === true && reaches(`${it.path}.ts`, module, seen))),
  )
}
