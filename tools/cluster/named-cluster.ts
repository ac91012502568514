import { existsSync } from 'node:fs'
import type { ImageNames, Provider } from './provider.ts'

/**
 * A cluster that the user names: nothing is installed in it but what the tests install, and it is
 * never taken down.
 */
export function namedCluster(kubeconfig: string, images: Partial<ImageNames>): Provider {
  return {
    name: 'named',
    description: `the cluster of ${kubeconfig}`,
    async up() {
      if (!existsSync(kubeconfig))
        throw new Error(`WEIR_TEST_KUBECONFIG names ${kubeconfig}, which does not exist.`)
      return kubeconfig
    },
    async down(progress) {
      progress.say('the cluster named in WEIR_TEST_KUBECONFIG is left as it is')
    },
    async loadImages() {
      const { weir, ...servers } = images
      if (weir === undefined)
        throw new Error(
          'A named cluster pulls the Weir image from a registry: ' +
            'build it with `npm run image -- --tag <registry>/weir:<tag>`, push it, ' +
            'and set WEIR_TEST_IMAGE to that name.',
        )
      return { weir, ...servers }
    },
  }
}
