import { fileURLToPath } from 'node:url'

/** The repository's top folder, wherever a script is started from. */
export const root: string = fileURLToPath(new URL('..', import.meta.url)).replace(/[/\\]$/, '')
