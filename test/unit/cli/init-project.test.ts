import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { initProject } from '#cli/local/init-project'
import { parseManifests } from '#operator/api/manifest'
import { tempDir } from '#tools/servers/temp-dir'

test('makes a project of that name, with a manifest that a cluster takes', async () => {
  await using dir = await tempDir('init')
  expect(initProject('My_Shop', dir.path)).toMatch(/cd My_Shop && npm install\n {2}npm test\n {2}npm start$/)
  const file = join(dir.path, 'My_Shop/my-shop.yaml')
  expect(parseManifests(readFileSync(file, 'utf8'), file)).toMatchObject([
    { kind: 'StreamJob', metadata: { name: 'my-shop' }, spec: { job: { module: '/job/job.ts' } } },
  ])
})

test('leaves a directory alone that has one of the files', async () => {
  await using dir = await tempDir('init')
  writeFileSync(join(dir.path, 'tsconfig.json'), '{}')
  expect(() => initProject('.', dir.path)).toThrow(
    /Cannot make a project in .*: it has tsconfig\.json already\./,
  )
  expect(readdirSync(dir.path)).toEqual(['tsconfig.json'])
})
