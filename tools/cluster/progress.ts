/**
 * Progress lines of the cluster tools: ` 12.3 s what happens`. Standard error, so that standard
 * output stays for results.
 */
export interface Progress {
  say(line: string): void
}

export function progressTo(write: (text: string) => void): Progress {
  const start = performance.now()
  return {
    say: (line) => write(`${((performance.now() - start) / 1000).toFixed(1).padStart(7)} s  ${line}\n`),
  }
}

export const stderrProgress: Progress = progressTo((text) => process.stderr.write(text))
