import { fileURLToPath } from 'node:url'

/** The repository's top folder, wherever a program is started from; without a slash at the end. */
export const repositoryRoot: string = fileURLToPath(new URL('..', import.meta.url)).replace(/[/\\]$/, '')
