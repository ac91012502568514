import { describe, expect, it } from 'vitest'
import { logRecordKey } from '#runtime/storage/paths'
import { SimNode } from '#sim/node'
import { Simulation } from '#sim/simulation'

function emptySimulation() {
  const sim = new Simulation({ seed: 1 })
  const node = new SimNode(sim.world, {
    name: 'jm-1',
    boot: () => {
      throw new Error('it is never started')
    },
    onEnded: () => undefined,
    onDeath: () => undefined,
  })
  return { sim, node }
}

describe('traps at records of the log', () => {
  it.each(['not JSON', '{}', '{"v":1,"body":{"kind":"CHECKPOINT"}}'])(
    'a record in another format is a violation, not a trap that never springs: %s',
    (record) => {
      const { sim, node } = emptySimulation()
      sim.weather.fateOf(node, 'create', logRecordKey(0), Buffer.from(record))
      expect(sim.world.violations).toEqual([
        expect.stringContaining('simulation: jm-1 sends what cannot be read'),
      ])
    },
  )
})
