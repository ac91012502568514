import { beforeEach, expect, test } from 'vitest'
import { keyOf, placeOf, Store } from '#operator/kube/store'
import type { KubeObject } from '#operator/resources/object'

const object = (resourceVersion: string, uid = 'u1'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace: 'a', name: 'p', uid, resourceVersion },
})

let store: Store<KubeObject>
let changes: number
const version = () => store.get('a', 'p')?.metadata.resourceVersion

beforeEach(() => {
  store = new Store<KubeObject>()
  changes = 0
  store.onChange(() => changes++)
})

test('I1: a late event of the watch does not undo an own write', () => {
  store.put(object('9'))
  store.update(object('12'))
  store.put(object('10'))
  store.put(object('12'))
  expect([version(), changes]).toEqual(['12', 2])
})

test('I1: versions are compared as numbers, however long', () => {
  store.put(object('99999999999999999998'))
  store.put(object('99999999999999999999'))
  store.put(object('100000000000000000000'))
  store.put(object('99999999999999999999'))
  expect(version()).toBe('100000000000000000000')
})

test('I1: a list that is older than an own write takes nothing back', () => {
  store.put(object('9'))
  store.update(object('12'))
  store.replace([object('9')], undefined)
  expect(version()).toBe('12')
})

test('I1: a successor of the same name replaces the object, and is not taken for it', () => {
  store.put(object('9', 'u1'))
  store.put(object('14', 'u2'))
  store.remove(object('13', 'u1'))
  store.update(object('15', 'u1'))
  expect(store.get('a', 'p')?.metadata.uid).toBe('u2')
  store.remove(object('16', 'u2'))
  expect(store.size).toBe(0)
})

test('I2: the answer to an own write that comes after the deletion brings nothing back', () => {
  store.put(object('9'))
  store.remove(object('13'))
  store.update(object('12'))
  expect(store.size).toBe(0)
})

test('what is not in a list has gone', () => {
  store.put(object('9'))
  store.replace([], 'b')
  expect(store.size).toBe(1)
  store.replace([], 'a')
  expect(store.size).toBe(0)
})

test('placeOf() spreads keys that differ by a number evenly', () => {
  const counts = Array<number>(10).fill(0)
  for (let i = 0; i < 1000; i++) counts[Math.floor(placeOf(keyOf('shop', `job-${i}`)) * 10)]!++
  for (const count of counts) expect(Math.abs(count - 100)).toBeLessThan(50)
})
