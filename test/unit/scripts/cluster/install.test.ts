import { describe, expect, test } from 'vitest'
import { imageValues } from '../../../../scripts/cluster/install.ts'

const values = (weir: string) => imageValues({ weir }).filter((value) => value !== '--set')

describe('imageValues()', () => {
  test('splits a name at its tag, not at the port of its registry', () => {
    expect(values('registry.example.com:5000/a/weir:dev')).toEqual([
      'image.registry=',
      'image.repository=registry.example.com:5000/a/weir',
      'image.tag=dev',
    ])
  })

  test('passes a digest as a digest', () => {
    expect(values('example.com/weir@sha256:abc')).toEqual([
      'image.registry=',
      'image.repository=example.com/weir',
      'image.digest=sha256:abc',
    ])
  })

  test('names the try-out servers only where the cluster has images of them', () => {
    expect(imageValues({ weir: 'weir:1', redis: 'r:1', s3: 's:1' })).toEqual(
      expect.arrayContaining(['quickstart.redis.image=r:1', 'quickstart.s3.image=s:1']),
    )
  })
})
