import { rm, writeFile } from 'node:fs/promises'
import type https from 'node:https'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { TestClock } from '#runtime/testing/test-clock'
import { podAuthority } from '#operator/kube/pod-authority'
import { tempDir } from '#tools/servers/temp-dir'

const ENV = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' }

test('asks as the service account of the pod, with its token as it is now', async () => {
  await using directory = await tempDir('authority')
  const write = (name: string, text: string) => writeFile(join(directory.path, name), text)
  await write('token', 'one\n')
  await write('ca.crt', 'CA')
  const clock = new TestClock()
  const authority = podAuthority({ env: ENV, clock, directory: directory.path })
  expect(authority?.server).toBe('https://10.96.0.1:443')
  const asked = async (): Promise<https.RequestOptions> => {
    const options: https.RequestOptions = { headers: { accept: 'application/json' } }
    await authority?.authorize(options)
    return options
  }
  expect(await asked()).toEqual({
    ca: 'CA',
    headers: { accept: 'application/json', authorization: 'Bearer one' },
  })
  await write('token', 'two')
  clock.advance(59_000)
  expect((await asked()).headers).toMatchObject({ authorization: 'Bearer one' })
  clock.advance(1000)
  expect((await asked()).headers).toMatchObject({ authorization: 'Bearer two' })
  clock.advance(60_000)
  await rm(join(directory.path, 'token'))
  await expect(asked()).rejects.toThrow('token')
})

test('an address of IPv6 is put into brackets', () => {
  const env = { ...ENV, KUBERNETES_SERVICE_HOST: 'fd00::1' }
  expect(podAuthority({ env, clock: new TestClock() })?.server).toBe('https://[fd00::1]:443')
})

test('outside a pod, or where KUBECONFIG is set, nothing is known here', () => {
  expect(podAuthority({ env: {}, clock: new TestClock() })).toBeUndefined()
  expect(podAuthority({ env: { ...ENV, KUBECONFIG: '/x' }, clock: new TestClock() })).toBeUndefined()
})
