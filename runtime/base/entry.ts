/**
 * The URL of a sibling module that a worker thread or a child process starts from. Sources run by
 * type stripping (`.ts`), packages and images run compiled (`.js`); the entry has to be of the same
 * kind as the module that names it, and that is the one thing both know.
 *
 * `relative` has no extension. `importMetaUrl` is the caller's own `import.meta.url`.
 *
 * @example new Worker(entryUrl('./lease-thread', import.meta.url))
 */
export const entryUrl = (relative: string, importMetaUrl: string): URL => {
  const path = new URL(importMetaUrl).pathname
  return new URL(relative + path.slice(path.lastIndexOf('.')), importMetaUrl)
}
