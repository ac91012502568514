export interface MainIo {
  write(text: string): void
  isTerminal: boolean
}
export async function main(_args: readonly string[], io: MainIo): Promise<number> {
  io.write('being rebuilt\n')
  return 1
}
