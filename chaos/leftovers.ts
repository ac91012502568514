import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Processes of this machine (Linux) that were configured by files below `directory`. */
export function processesOf(directory: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
      const isOurs = environment.some((it) => it.startsWith(`WEIR_CONFIG=${directory}/`))
      return isOurs ? [`process ${pid} (${readlinkSync(`/proc/${pid}/exe`)}) is left over`] : []
    } catch {
      // Gone meanwhile, or somebody else's.
      return []
    }
  })
}
