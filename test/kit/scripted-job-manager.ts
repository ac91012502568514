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
  /** By TaskManager. */
  readonly #connections = new Map<string, Connection>()
  #listener: Listener | undefined

  constructor(id: string) {
    this.id = id
  }

  async listen(transport: Transport, port = 0): Promise<this> {
    this.#listener = await transport.listen({ host: '127.0.0.1', port }, (connection) => {
      let from = ''
      return {
        onFrame: (frame) => {
          const message = decodeFromTaskManager(frame)
          this.heard.push(message)
          if (message.type !== 'hello') return
          from = message.id
          this.#connections.set(from, connection)
          this.send({ type: 'welcome', leader: this.epoch > 0, epoch: this.epoch, id: this.id }, from)
        },
        onClose: () => {
          if (this.#connections.get(from) === connection) this.#connections.delete(from)
        },
      }
    })
    this.address = `127.0.0.1:${this.#listener.port}`
    return this
  }

  get isConnected(): boolean {
    return this.#connections.size > 0
  }

  lead(epoch: number): void {
    this.epoch = epoch
    this.send({ type: 'welcome', leader: true, epoch, id: this.id })
  }

  /** To one TaskManager, or to all. */
  send(message: FromJobManager, to?: string): void {
    for (const [id, connection] of this.#connections)
      if (to === undefined || to === id) sendMessage(connection, message)
  }

  /** The process is gone. */
  async die(): Promise<void> {
    await this.#listener?.close()
    this.drop()
  }

  /** The connections are gone, and the next ones are welcome. */
  drop(): void {
    for (const connection of this.#connections.values()) connection.destroy()
  }

  last<T extends FromTaskManager['type']>(type: T): Said<T> | undefined {
    return this.heard.findLast((m): m is Said<T> => m.type === type)
  }

  all<T extends FromTaskManager['type']>(type: T): readonly Said<T>[] {
    return this.heard.filter((m): m is Said<T> => m.type === type)
  }
}
