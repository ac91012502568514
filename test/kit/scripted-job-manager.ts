import type { FromJobManager, FromTaskManager } from '#runtime/contract/rpc'
import { decodeFromTaskManager, sendMessage } from '#runtime/net/messages'
import type { Connection, Listener, Transport } from '#runtime/net/transport'

type Said<T extends FromTaskManager['type']> = Extract<FromTaskManager, { type: T }>

/** A JobManager's port that speaks the real protocol, commanded by a test. */
export class ScriptedJobManager {
  readonly id: string
  readonly heard: FromTaskManager[] = []
  epoch = 0
  address = ''
  #connection: Connection | undefined
  #listener: Listener | undefined

  constructor(id: string) {
    this.id = id
  }

  async listen(transport: Transport, port = 0): Promise<this> {
    this.#listener = await transport.listen({ host: '127.0.0.1', port }, (connection) => {
      this.#connection = connection
      return {
        onFrame: (frame) => this.#hear(decodeFromTaskManager(frame)),
        onClose: () => {
          if (this.#connection === connection) this.#connection = undefined
        },
      }
    })
    this.address = `127.0.0.1:${this.#listener.port}`
    return this
  }

  get isConnected(): boolean {
    return this.#connection !== undefined
  }

  lead(epoch: number): void {
    this.epoch = epoch
    this.send({ type: 'welcome', leader: true, epoch, id: this.id })
  }

  send(message: FromJobManager): void {
    if (this.#connection !== undefined) sendMessage(this.#connection, message)
  }

  /** The process is gone. */
  async die(): Promise<void> {
    await this.#listener?.close()
    this.#connection?.destroy()
  }

  /** The connection is gone, and the next one is welcome. */
  drop(): void {
    this.#connection?.destroy()
  }

  last<T extends FromTaskManager['type']>(type: T): Said<T> | undefined {
    return this.heard.findLast((m): m is Said<T> => m.type === type)
  }

  all<T extends FromTaskManager['type']>(type: T): readonly Said<T>[] {
    return this.heard.filter((m): m is Said<T> => m.type === type)
  }

  #hear(message: FromTaskManager): void {
    this.heard.push(message)
    if (message.type === 'hello')
      this.send({ type: 'welcome', leader: this.epoch > 0, epoch: this.epoch, id: this.id })
  }
}
