import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { repositoryRoot } from '#tools/repository-root'
import { reaches, SERVERS } from '../../../scripts/test-servers.ts'

const neededBy = (file: string): readonly string[] =>
  SERVERS.filter(({ module }) => reaches(file, module)).map(({ name }) => name)

describe('the servers that a test file needs', () => {
  test('are started by modules that exist', () => {
    for (const { module } of SERVERS)
      expect(existsSync(join(repositoryRoot, `${module}.ts`)), module).toBe(true)
  })

  test('are found in its imports, also in those of the kit', () => {
    expect(neededBy('test/integration/failover.test.ts')).toEqual(['Redis', 'S3 (versitygw)'])
    expect(neededBy('test/integration/redis-lease.test.ts')).toEqual(['Redis'])
    expect(neededBy(join(repositoryRoot, 'test/integration/demo.test.ts'))).toEqual([])
  })
})
