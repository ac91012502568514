import { describe, expect, test } from 'vitest'
import { entryUrl } from '#runtime/base/entry'

describe('entryUrl()', () => {
  test('names the TypeScript file when the caller runs from TypeScript', () => {
    expect(entryUrl('./lease-thread', 'file:///app/runtime/election/redis-lease.ts').href).toBe(
      'file:///app/runtime/election/lease-thread.ts',
    )
  })
  test('names the JavaScript file when the caller is compiled', () => {
    expect(entryUrl('../bin/job-manager', 'file:///app/dist/runtime/testing/local.js').href).toBe(
      'file:///app/dist/runtime/bin/job-manager.js',
    )
  })
  test('ignores a query on the caller, as vitest and loaders add', () => {
    expect(entryUrl('./slot', 'file:///app/runtime/task/worker-pool.ts?v=12').href).toBe(
      'file:///app/runtime/task/slot.ts',
    )
  })
  test('keeps folder names with dots and spaces', () => {
    expect(entryUrl('./slot', 'file:///srv/v1.2/my%20app/a.js').href).toBe(
      'file:///srv/v1.2/my%20app/slot.js',
    )
  })
})
