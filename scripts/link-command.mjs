/**
 * `npm ci` in a clone runs this: `npx weir` finds the command of the clone at once, as it would that
 * of an installed package. Without the link npx makes one elsewhere, each time. Plain JavaScript,
 * because the Node that runs it may be too old for the sources.
 */
import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../node_modules/.bin', import.meta.url))
mkdirSync(bin, { recursive: true })
for (const name of ['weir', 'kubectl-weir']) {
  rmSync(join(bin, name), { force: true })
  symlinkSync('../../bin/weir.js', join(bin, name))
}
