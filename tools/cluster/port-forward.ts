import { createInterface } from 'node:readline'
import type { Cluster } from './cluster.ts'

export interface PortForward extends AsyncDisposable {
  /** Local port on 127.0.0.1. */
  readonly port: number
}

/**
 * `kubectl port-forward` to a Service or pod: reaches it on every kind of cluster. It ends when the
 * pod behind it does.
 */
export async function portForward(
  cluster: Cluster,
  namespace: string,
  target: string,
  port: number,
): Promise<PortForward> {
  const child = cluster.spawnKubectl(['port-forward', '-n', namespace, target, `:${port}`])
  // Also when this process is told to end meanwhile.
  const kill = () => void child.kill()
  process.once('exit', kill)
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  void ended.then(() => process.off('exit', kill))
  const stop = async () => {
    child.kill()
    await ended
  }
  let errors = ''
  child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const local = await new Promise<number | undefined>((resolve) => {
    child.once('error', () => resolve(undefined))
    child.once('close', () => resolve(undefined))
    if (child.stdout === null) return resolve(undefined)
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(line)
      if (found !== null) resolve(Number(found[1]))
    })
  })
  if (local === undefined)
    throw new Error(`kubectl port-forward ${target} in ${namespace} failed: ${errors.trim()}`)
  return { port: local, [Symbol.asyncDispose]: stop }
}
