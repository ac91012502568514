#!/usr/bin/env node
/**
 * Starts `weir` and `kubectl-weir`: compiled, where the package is installed, and from the sources
 * in a clone, with the Node that comes with `npm ci` where the system's is too old. Plain JavaScript
 * that old versions of Node run too, to say what is missing.
 *
 * What V8 compiles is kept for the next start, of child processes too, in a directory that only the
 * user can write: whoever can write there can say what this user's programs do.
 */
import { spawn } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { constants, homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MINIMUM_NODE = 24
const ROOT = fileURLToPath(new URL('..', import.meta.url))

function main() {
  const sources = join(ROOT, 'cli/main.ts')
  const isClone = existsSync(sources)
  if (Number(process.versions.node.split('.')[0]) >= MINIMUM_NODE) {
    keepCompiledCode()
    return import(isClone ? '../cli/main.ts' : '../dist/cli/main.js')
  }
  const bundled = join(ROOT, 'node_modules/node/bin/node')
  if (isClone && existsSync(bundled)) return runWith(bundled)
  const next = isClone ? 'Run npm ci: it brings one.' : 'Install one from https://nodejs.org.'
  process.stderr.write(
    `error: weir needs Node ${MINIMUM_NODE} or newer, this is ${process.version}.\n${next}\n`,
  )
  process.exitCode = 2
}

/** The same command line with another Node; its end is the end of this process. */
function runWith(node) {
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' })
  // A terminal sends Ctrl-C to both; this process waits for how the other one ends.
  process.on('SIGINT', () => undefined)
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal]
  })
}

/** Node writes what it has compiled when the process ends. Without a directory nothing is kept. */
function keepCompiledCode() {
  const { env } = process
  if (env.NODE_COMPILE_CACHE !== undefined || env.NODE_DISABLE_COMPILE_CACHE !== undefined) return
  const directory = ownDirectory()
  if (directory === undefined) return
  nodeModule.enableCompileCache(directory)
  env.NODE_COMPILE_CACHE = directory
}

/** Undefined: there is none that only this user can write. */
function ownDirectory() {
  const { XDG_CACHE_HOME: chosen = '' } = process.env
  try {
    // A user without an entry in the system's list and without HOME has no home: that throws.
    const weir = join(isAbsolute(chosen) ? chosen : join(homedir(), '.cache'), 'weir')
    const directory = join(weir, 'compile-cache')
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    return [weir, directory].every(isOwn) ? directory : undefined
  } catch {
    return undefined
  }
}

function isOwn(directory) {
  const { uid, mode } = lstatSync(directory)
  return process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0)
}

await main()
