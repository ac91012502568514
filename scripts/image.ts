/**
 * `npm run image -- [--tag NAME] [--engine docker|podman|buildah]`: compiles dist/ and builds
 * images/Dockerfile. docker or podman take the public Node base (override it with --node-image);
 * buildah, for machines without a registry, makes a base of this machine's own node.
 */
import { parseArgs } from 'node:util'
import { which } from '#tools/cluster/command'
import { buildWithEngine, findEngine, type Engine } from '#tools/cluster/engine-cluster'
import { archiveOf, buildDist, buildWeirImage, WEIR_IMAGE } from '#tools/cluster/images'
import { stderrProgress } from '#tools/cluster/progress'

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      tag: { type: 'string', default: WEIR_IMAGE },
      engine: { type: 'string' },
      'node-image': { type: 'string' },
      'skip-build': { type: 'boolean', default: false },
    },
  })
  const engine =
    values.engine ?? (await findEngine()) ?? ((await which('buildah')) === undefined ? undefined : 'buildah')
  if (engine !== 'docker' && engine !== 'podman' && engine !== 'buildah')
    throw new Error(
      engine === undefined
        ? 'No container engine answers: start docker or podman, or install buildah.'
        : `No engine ${JSON.stringify(engine)}; expected docker, podman or buildah.`,
    )
  if (!values['skip-build']) await buildDist(stderrProgress)
  if (engine === 'buildah') {
    await buildWeirImage(stderrProgress, values.tag)
    return console.log(`${values.tag} in ${archiveOf(values.tag)}`)
  }
  await buildWithEngine(engine satisfies Engine, values.tag, stderrProgress, values['node-image'])
  console.log(values.tag)
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
