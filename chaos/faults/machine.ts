import { appendFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '#runtime/base/errors'
import type { Random } from '#sim/random'
import { type Fault, type FaultKind, lasting, nothingToEnd, seconds } from '../fault.ts'
import { drawVictims, namesOf } from './victims.ts'

const FILLER = '.filler'
const FILL_EVERY_MS = 50
const BLOCK = Buffer.alloc(1024 * 1024)
const SMALL_BLOCK = Buffer.alloc(512)

/** Writes until nothing more fits. */
function fill(path: string): void {
  for (const block of [BLOCK, SMALL_BLOCK])
    try {
      for (;;) appendFileSync(path, block)
    } catch (error) {
      if (systemCode(error) !== 'ENOSPC') throw error
    }
}

const DISKS = { output: 'local output', s3: 'the S3 server' } as const

function diskFull(random: Random): Fault {
  const which = random.pick(['output', 's3'] as const)
  const forMs = lasting(random, { from: 500, to: 5000 }, { from: 8000, to: 12_000 })
  return {
    text: `no space left on the disk of ${DISKS[which]} for ${seconds(forMs)}`,
    forMs,
    begin({ disks }) {
      if (disks === undefined) return nothingToEnd
      const path = join(disks[which].path, FILLER)
      fill(path)
      // What others delete meanwhile is taken, too.
      const again = setInterval(() => fill(path), FILL_EVERY_MS)
      return () => {
        clearInterval(again)
        rmSync(path, { force: true })
      }
    },
  }
}

/** Up to what S3 servers tolerate (15 minutes), and beyond. */
const STEPS_SECONDS = [-7200, -600, -30, -2, 2, 30, 600, 7200] as const

function clockStep(random: Random): Fault {
  const victims = drawVictims(random)
  const step = random.pick(STEPS_SECONDS)
  const forMs = lasting(random, { from: 1000, to: 5000 }, { from: 8000, to: 12_000 })
  return {
    text: `wall clock of ${victims.join(', ')} stepped by ${step} s, and back after ${seconds(forMs)}`,
    forMs,
    begin(stage) {
      const names = namesOf(victims, stage)
      for (const name of names) stage.clocks.set(name, step)
      return () => names.forEach((name) => stage.clocks.set(name, 0))
    },
  }
}

export const MACHINE_FAULTS: readonly FaultKind[] = [
  {
    name: 'disk-full',
    says: 'no space left for local output or for the objects of the S3 server (needs root, for a tmpfs)',
    need: 'tmpfs',
    alone: 'disk',
    draw: diskFull,
  },
  {
    name: 'clock-step',
    says: 'the wall clocks of processes are stepped by seconds to hours and back (needs libfaketime)',
    need: 'faketime',
    draw: clockStep,
  },
]
