import { quantityToNumber } from '#operator/api/quantity'

/**
 * V8's old-space limit per thread so that heaps end below the memory limit with room for code,
 * buffers and sockets: three quarters of it, shared by `threads`. Without it V8 takes a default
 * that may lie above the limit, and the kernel kills the container instead of V8 collecting.
 */
export function heapLimitMb(memoryLimit: string | number | undefined, threads: number): number | undefined {
  const bytes = memoryLimit === undefined ? undefined : quantityToNumber(memoryLimit)
  if (bytes === undefined || bytes <= 0) return undefined
  return Math.max(32, Math.floor((bytes * 0.75) / threads / 2 ** 20))
}
