/**
 * Writes the reference pages that are made from code; with --check only compares, and fails when a
 * page differs.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { conditionReference } from './condition-reference.ts'
import { crdReference } from './crd-reference.ts'
import { errorReference } from './error-reference.ts'
import { jobPhases } from './job-phases.ts'
import { metricReference } from './metric-reference.ts'
import { recipesPage } from './recipes-page.ts'
import { waitReference } from './wait-reference.ts'
import { repositoryRoot } from '#tools/repository-root'

const crd = (file: string) => (): string =>
  crdReference(readFileSync(join(repositoryRoot, 'crds', file), 'utf8'))
const PAGES: Readonly<Record<string, () => string>> = {
  'docs/errors.md': errorReference,
  'docs/recipes.md': recipesPage,
  'docs/reference/conditions.md': conditionReference,
  'docs/reference/job-phases.md': jobPhases,
  'docs/reference/metrics.md': metricReference,
  'docs/reference/waits.md': waitReference,
  'docs/reference/stream-job.md': crd('weir.dev_streamjobs.yaml'),
  'docs/reference/savepoint.md': crd('weir.dev_savepoints.yaml'),
}
const isCheck = process.argv.includes('--check')

for (const [path, render] of Object.entries(PAGES)) {
  const current = await readFile(join(repositoryRoot, path), 'utf8').catch(() => undefined)
  const wanted = render()
  if (current === wanted) continue
  if (isCheck) {
    console.error(`${path} differs from the code it is made from. Run npm run gen and commit the page.`)
    process.exitCode = 1
  } else {
    await writeFile(join(repositoryRoot, path), wanted)
    console.log(`wrote ${path}`)
  }
}
