/** API group and version of the custom resources. */
export const GROUP = 'weir.dev'
export const VERSION = 'v1alpha1'
export const API_VERSION = `${GROUP}/${VERSION}` as const
