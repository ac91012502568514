/** What is seen of pods. Pure. */

export interface PodView {
  readonly metadata: {
    readonly name: string
    readonly deletionTimestamp?: string
  }
  readonly status?: { readonly containerStatuses?: readonly ContainerView[] }
}

export interface ContainerView {
  readonly name: string
  /** With the scheme of the runtime: "containerd://...". */
  readonly containerID?: string
  readonly restartCount: number
  readonly state?: {
    readonly running?: object
    readonly waiting?: { readonly reason?: string }
    readonly terminated?: object
  }
}

/** Containers that were started at least once. */
export const containersOf = ({ status }: PodView): readonly ContainerView[] =>
  (status?.containerStatuses ?? []).filter(({ containerID = '' }) => containerID !== '')

export const isLeaving = ({ metadata }: PodView): boolean => metadata.deletionTimestamp !== undefined

/** A process may end by itself, such as a TaskManager that hears of no JobManager for too long. */
const OWN_RESTARTS = 3

/**
 * In words: containers that wait because they ended again and again, or were started again more
 * often than is explained (`kills`, by name of the pod).
 */
export function loopsOf(pods: readonly PodView[], kills: ReadonlyMap<string, number>): string[] {
  return pods.flatMap((pod) => {
    const { name } = pod.metadata
    const most = (kills.get(name) ?? 0) + OWN_RESTARTS
    return containersOf(pod).flatMap(({ name: container, restartCount, state }) => {
      const reason = state?.waiting?.reason
      if (reason === 'CrashLoopBackOff')
        return `${name} ${container} waits: ${reason}, ${restartCount} restarts`
      return restartCount > most
        ? `${name} ${container} was started again ${restartCount} times, at most ${most} expected`
        : []
    })
  })
}
