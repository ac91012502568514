import { join } from 'node:path'
import type { Cluster } from '#tools/cluster/cluster'
import type { Progress } from '#tools/cluster/progress'
import type { ImageNames } from '#tools/cluster/provider'
import { repositoryRoot } from '#tools/repository-root'

export const CHART: string = join(repositoryRoot, 'charts', 'weir')
export const NAMESPACE = 'weir-system'
export const RELEASE = 'weir'

/** The values that point the chart at images of this cluster. */
export function imageValues(images: ImageNames): string[] {
  const at = images.weir.indexOf('@')
  const colon = images.weir.lastIndexOf(':')
  const reference =
    at >= 0
      ? [`image.repository=${images.weir.slice(0, at)}`, `image.digest=${images.weir.slice(at + 1)}`]
      : [`image.repository=${images.weir.slice(0, colon)}`, `image.tag=${images.weir.slice(colon + 1)}`]
  const servers = [
    ...(images.redis === undefined ? [] : [`quickstart.redis.image=${images.redis}`]),
    ...(images.s3 === undefined ? [] : [`quickstart.s3.image=${images.s3}`]),
  ]
  return ['image.registry=', ...reference, ...servers].flatMap((value) => ['--set', value])
}

/**
 * Builds and loads the image of the sources as they are, and installs or upgrades the chart with
 * its quickstart.
 */
export async function installWeir(
  cluster: Cluster,
  progress: Progress,
  extra: readonly string[] = [],
): Promise<void> {
  const images = await cluster.provider.loadImages(progress)
  progress.say(`helm upgrade --install ${RELEASE} charts/weir -n ${NAMESPACE} --set quickstart.enabled=true`)
  await cluster.kubectl(['apply', '--server-side', '--force-conflicts', '-f', `${CHART}/crds`])
  // The name of a development image never changes; a changed template replaces pods that run an
  // older one, also crashing ones.
  const stamp = ['--set', `operator.podAnnotations.installed=at-${Date.now()}`]
  const release = [
    'upgrade',
    '--install',
    RELEASE,
    CHART,
    '--namespace',
    NAMESPACE,
    '--create-namespace',
    '--wait',
    '--timeout',
    '5m',
  ]
  await cluster.helm(
    [...release, '--set', 'quickstart.enabled=true', ...stamp, ...imageValues(images), ...extra],
    { timeoutMs: 400_000 },
  )
  progress.say('Weir is installed')
}
