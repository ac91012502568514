/**
 * `npm test`: the unit, property, simulation and integration tests in turn: everything that this
 * machine can run in about ten minutes. Servers that tests run against are found or installed
 * first; tests whose server cannot be had are skipped, counted, and named with what to do. The last
 * line is the sum.
 *
 *   npm test                            all four
 *   npm test -- --only unit,property    some
 *   npm test -- --with cluster          and the tests on a real Kubernetes cluster
 */
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runNode, seconds, tool } from './program.ts'
import { type MissingServer, prepareServers, reaches } from './test-servers.ts'
import { sum, type Tally, tallyLine, tallyOf, type VitestReport } from './test-report.ts'

const DEFAULT_PROJECTS = ['unit', 'property', 'simulation', 'integration']
const PROJECTS = [...DEFAULT_PROJECTS, 'cluster']
const VITEST = tool('vitest/vitest.mjs')

interface ListedTest {
  readonly file: string
  readonly projectName: string
}

interface Skip {
  readonly count: number
  readonly what: string
  readonly remedy: string
}

async function main(): Promise<void> {
  const chosen = chosenProjects()
  const others = PROJECTS.filter((name) => !chosen.includes(name))
  const started = performance.now()
  const listed = await listTests(chosen, 'files')
  const missing = await prepareServers([...new Set(listed.map((it) => it.file))])
  const skips = [
    ...(missing.length === 0 ? [] : skippedForServers(await listTests(chosen, 'tests'), missing)),
    ...skippedProjects(await listTests(others, 'tests')),
  ]
  const reports = await mkdtemp(join(tmpdir(), 'weir-test-'))
  const tallies: Tally[] = []
  try {
    for (const project of chosen)
      tallies.push(await runTests(project, listed, missing, join(reports, `${project}.json`)))
  } finally {
    await rm(reports, { recursive: true, force: true })
  }
  for (const { count, what, remedy } of skips) console.log(`SKIPPED ${count} tests ${what}. ${remedy}`)
  const total = sum([
    ...tallies,
    { passed: 0, failed: 0, skipped: skips.reduce((n, skip) => n + skip.count, 0) },
  ])
  if (total.skipped > 0) console.log(`${total.skipped} tests were skipped in all; the lines above say why.`)
  console.log(`took ${seconds(performance.now() - started)}`)
  console.log(tallyLine(total))
  process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1
}

function chosenProjects(): string[] {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, with: { type: 'string', multiple: true } },
  })
  const names = [
    ...(values.only?.split(',') ?? DEFAULT_PROJECTS),
    ...(values.with?.flatMap((text) => text.split(',')) ?? []),
  ]
  const unknown = names.filter((name) => !PROJECTS.includes(name))
  if (unknown.length > 0)
    throw new Error(`There is no test project ${unknown.join(', ')}. There are: ${PROJECTS.join(', ')}.`)
  return PROJECTS.filter((name) => names.includes(name))
}

/**
 * `files`: quickly, from the text, so that generated tests count as one. `tests`: every test, by
 * loading the files.
 */
async function listTests(projects: readonly string[], what: 'files' | 'tests'): Promise<ListedTest[]> {
  if (projects.length === 0) return []
  const directory = await mkdtemp(join(tmpdir(), 'weir-test-'))
  const file = join(directory, 'list.json')
  try {
    const chosen = projects.flatMap((name) => ['--project', name])
    const { output, code } = await runNode([
      VITEST,
      'list',
      `--json=${file}`,
      `--staticParse=${what === 'files'}`,
      ...chosen,
    ])
    if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as ListedTest[]
    console.log(
      `Cannot list the tests of ${projects.join(', ')} (exit code ${code}); skipped ones are not counted:`,
    )
    console.log(output.slice(0, 2000))
    return []
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const skippedForServers = (listed: readonly ListedTest[], missing: readonly MissingServer[]): Skip[] =>
  missing.map(({ name, module, reason }) => ({
    count: listed.filter((it) => firstMissing(it.file, missing)?.module === module).length,
    what: `that need ${name}`,
    remedy: reason,
  }))

const skippedProjects = (listed: readonly ListedTest[]): Skip[] =>
  [...new Set(listed.map((it) => it.projectName))].map((name) => ({
    count: listed.filter((it) => it.projectName === name).length,
    what: `of project ${name}`,
    remedy: `Run them with: npm test -- --with ${name}${NEEDS[name] ?? ''}.`,
  }))

/** What a project needs of the machine, where that is much. */
const NEEDS: Readonly<Record<string, string>> = {
  cluster: ' (Linux, root, about ten minutes; or set WEIR_TEST_KUBECONFIG)',
}

const firstMissing = (file: string, missing: readonly MissingServer[]): MissingServer | undefined =>
  missing.find(({ module }) => reaches(file, module))

async function runTests(
  project: string,
  listed: readonly ListedTest[],
  missing: readonly MissingServer[],
  report: string,
): Promise<Tally> {
  const files = [...new Set(listed.filter((it) => it.projectName === project).map((it) => it.file))]
  const left = files.filter((file) => firstMissing(file, missing) !== undefined)
  console.log(`\n== ${project}`)
  const { code } = await runNode(
    [
      VITEST,
      'run',
      '--project',
      project,
      '--passWithNoTests',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...left.map((file) => `--exclude=${file}`),
    ],
    { show: true },
  )
  const tally = tallyOf(
    existsSync(report) ? (JSON.parse(await readFile(report, 'utf8')) as VitestReport) : undefined,
    code,
  )
  console.log(`${project}: ${tallyLine(tally)}`)
  return tally
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  console.log(tallyLine({ passed: 0, failed: 1, skipped: 0 }))
  process.exitCode = 1
}
