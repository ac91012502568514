import { mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cluster } from './cluster.ts'

/**
 * Writes objects, events and logs of these namespaces into files, and gives a summary with the
 * folder's name: what one needs after a failure.
 */
export async function dumpCluster(cluster: Cluster, namespaces: readonly string[]): Promise<string> {
  const folder = join(tmpdir(), `weir-cluster-${Date.now()}`)
  mkdirSync(folder, { recursive: true })
  const tell = async (file: string, ...args: string[]) => {
    const { stdout, stderr } = await cluster.tryKubectl(args, { timeoutMs: 30_000 })
    writeFileSync(join(folder, file), `${stdout}\n${stderr}`)
    return stdout
  }
  const summary: string[] = []
  for (const namespace of namespaces) {
    const kinds = 'pods,deployments,replicasets,services,stj,svp'
    summary.push(
      `--- ${namespace}`,
      await tell(`${namespace}-objects.txt`, 'get', kinds, '-n', namespace, '-o', 'wide'),
    )
    await tell(`${namespace}-objects.yaml`, 'get', `${kinds},configmaps`, '-n', namespace, '-o', 'yaml')
    const events = await tell(
      `${namespace}-events.txt`,
      'get',
      'events',
      '-n',
      namespace,
      '--sort-by=.lastTimestamp',
    )
    summary.push(events.split('\n').slice(-20).join('\n'))
    const pods = (await tell(`${namespace}-pods.txt`, 'get', 'pods', '-n', namespace, '-o', 'name')).split(
      '\n',
    )
    for (const pod of pods.filter((name) => name !== '')) {
      const name = pod.replace('pod/', '')
      const log = await tell(
        `${namespace}-${name}.log`,
        'logs',
        '-n',
        namespace,
        pod,
        '--all-containers',
        '--timestamps',
      )
      summary.push(`--- log of ${name}, last lines`, log.split('\n').slice(-12).join('\n').slice(-4000))
      await tell(`${namespace}-${name}-previous.log`, 'logs', '-n', namespace, pod, '--previous')
    }
  }
  return [`Everything is in ${folder}`, ...summary].join('\n')
}
