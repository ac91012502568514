import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '#runtime/base/errors'
import { VERSITYGW } from '#tools/servers/s3'
import { parseSource } from '#tools/source-file'
import { aptTool, goTool } from '#tools/servers/tools'
import { repositoryRoot } from '#tools/repository-root'

/** A server that some tests run against. */
interface TestServer {
  readonly name: string
  /** What starts it; a test file that imports this, directly or not, needs the server. */
  readonly module: string
  /** Finds or installs it. */
  readonly find: () => Promise<string>
}

export const SERVERS: readonly TestServer[] = [
  { name: 'Redis', module: 'tools/servers/redis', find: () => aptTool('redis-server', 'redis-server') },
  { name: 'S3 (versitygw)', module: 'tools/servers/s3', find: () => goTool(VERSITYGW) },
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
 * True when `file` (absolute or relative to the repository) imports `module`, directly or through
 * files of test/ and tools/.
 */
export function reaches(file: string, module: string, seen: Set<string> = new Set()): boolean {
  const path = file.startsWith(repositoryRoot) ? file.slice(repositoryRoot.length + 1) : file
  if (seen.has(path) || !existsSync(join(repositoryRoot, path))) return false
  seen.add(path)
  const { imports } = parseSource(path, readFileSync(join(repositoryRoot, path), 'utf8'))
  return imports.some(
    (it) =>
      !it.typeOnly && (it.path === module || (isOfTests(it.path) && reaches(`${it.path}.ts`, module, seen))),
  )
}

const isOfTests = (path: string | undefined): boolean => /^(test|tools)\//.test(path ?? '')
