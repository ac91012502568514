export interface EventuallyOptions {
  readonly limitMs: number
  /** What is waited for, for the message. */
  readonly what: string
  readonly everyMs?: number
}

/**
 * Polls `check` until it gives something truthy; a throw counts as not yet. Rejects after `limitMs`
 * with the last answer or error.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: EventuallyOptions,
): Promise<NonNullable<T>> {
  const start = performance.now()
  for (;;) {
    let last: unknown
    try {
      const value = await check()
      if (value !== undefined && value !== null && (value as unknown) !== false)
        return value as NonNullable<T>
      last = value
    } catch (error) {
      last = error
    }
    if (performance.now() - start > options.limitMs) {
      const said = last instanceof Error ? last.message : JSON.stringify(last)
      throw new Error(`Not within ${options.limitMs} ms: ${options.what}. Last: ${said}`, { cause: last })
    }
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 20))
  }
}
