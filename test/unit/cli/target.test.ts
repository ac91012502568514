import { describe, expect, test } from 'vitest'
import { CliError } from '#cli/cli-error'
import { parseTarget } from '#cli/target'

const here = (names: readonly string[] = [], onKubectl = false) => ({
  onKubectl,
  cwd: '/home/u',
  localNames: () => names,
})

describe('parseTarget()', () => {
  test('a bare name is a local job below .weir', () => {
    expect(parseTarget('orders', {}, here())).toEqual({
      kind: 'local',
      name: 'orders',
      stateDir: '/home/u/.weir/orders',
    })
  })
  test.each(['stj/orders', 'streamjob/orders', 'streamjobs/orders', 'streamjobs.weir.dev/orders'])(
    '%s is a StreamJob',
    (text) => {
      expect(parseTarget(text, {}, here())).toEqual({ kind: 'cluster', name: 'orders' })
    },
  )
  test('a namespace, kubeconfig or context means a cluster', () => {
    expect(parseTarget('orders', { namespace: 'shop' }, here())).toEqual({
      kind: 'cluster',
      name: 'orders',
      namespace: 'shop',
    })
    expect(parseTarget('orders', { context: 'prod' }, here())).toMatchObject({
      kind: 'cluster',
      context: 'prod',
    })
  })
  test('kubectl weir always means a cluster', () => {
    expect(parseTarget('orders', {}, here([], true))).toEqual({ kind: 'cluster', name: 'orders' })
  })
  test('--state-dir names the directory itself', () => {
    expect(parseTarget(undefined, { stateDir: 'state/x' }, here())).toEqual({
      kind: 'local',
      name: 'x',
      stateDir: '/home/u/state/x',
    })
  })
  test('without a name the only local job is meant', () => {
    expect(parseTarget(undefined, {}, here(['only']))).toMatchObject({ kind: 'local', name: 'only' })
  })
  test('without a name several local jobs are listed', () => {
    expect(() => parseTarget(undefined, {}, here(['a', 'b']))).toThrow('several under .weir/ here: a, b')
  })
  test('without a name and without jobs says how to start one', () => {
    expect(() => parseTarget(undefined, {}, here())).toThrow(CliError)
    expect(() => parseTarget(undefined, {}, here([], true))).toThrow('Give its name')
  })
  test.each(['Orders', '-a', 'a_b', '../x', ''])('%j is no job name', (text) => {
    expect(() => parseTarget(text, {}, here())).toThrow(CliError)
  })
})
