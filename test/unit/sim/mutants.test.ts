import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { BUGS } from '#sim/mutants/bugs'

const pathOf = (file: string): string => fileURLToPath(new URL(`../../../${file}`, import.meta.url))

describe('planted bugs', () => {
  it('have names of their own', () => {
    const names = BUGS.map(({ name }) => name)
    expect(names.filter((name, i) => names.indexOf(name) < i)).toEqual([])
  })

  it.each(BUGS.map((bug) => [bug.name, bug] as const))('%s can be planted', (_, { patches }) => {
    const texts = new Map<string, string>()
    for (const { file, find, replace } of patches) {
      const text = texts.get(file) ?? readFileSync(pathOf(file), 'utf8')
      const found = text.split(find).length - 1
      expect({ file, find, found }).toEqual({ file, find, found: 1 })
      texts.set(
        file,
        text.replace(find, () => replace),
      )
    }
    expect(patches.length).toBeGreaterThan(0)
  })

  it.each(BUGS.flatMap(({ name, test, because }) => (test === undefined ? [] : [[name, test, because]])))(
    '%s, which does no harm, names a test and the reason',
    (_, test = '', because = '') => {
      expect(existsSync(pathOf(test))).toBe(true)
      expect(because).not.toBe('')
    },
  )
})
