import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { OutputReader } from '#chaos/output'
import { tempDir } from '#tools/servers/temp-dir'

test('hidden directories that go while it is read take no committed file with them', async () => {
  await using dir = await tempDir('chaos-output')
  await writeFile(join(dir.path, 'part-1.jsonl'), '{"key":"a"}\n')
  const reader = new OutputReader(dir.path)
  await reader.read()
  const churn = async (n: number) => {
    for (let i = 0; i < 100; i++) {
      await mkdir(join(dir.path, `.pending/${n}/${i}`), { recursive: true })
      await rm(join(dir.path, `.pending/${n}`), { recursive: true })
    }
  }
  const over = new AbortController()
  const churning = Promise.all([1, 2, 3].map(churn)).finally(() => over.abort())
  while (!over.signal.aborted) expect((await reader.read()).offences).toEqual([])
  await churning
})
