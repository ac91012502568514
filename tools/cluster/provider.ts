import type { Progress } from './progress.ts'

/** A Kubernetes cluster to try Weir on: one that exists, one of a tool's, or one started here. */
export interface Provider {
  readonly name: string
  /** In words, for progress lines. */
  readonly description: string
  /** Brings the cluster up, unless it is, and gives the path of its kubeconfig. */
  up(progress: Progress): Promise<string>
  /** Removes what `up` made, and nothing else. */
  down(progress: Progress): Promise<void>
  /**
   * Makes the images of Weir, and where the cluster reaches no registry those of its try-out
   * servers, available to pods.
   */
  loadImages(progress: Progress): Promise<ImageNames>
  /**
   * SIGKILL to the processes of a container on the node, by the id that the pod's status shows.
   * Absent: the node cannot be reached.
   */
  killContainer?(id: string): Promise<void>
}

export interface ImageNames {
  readonly weir: string
  /** Absent: the chart's defaults, from public registries. */
  readonly redis?: string
  readonly s3?: string
}
